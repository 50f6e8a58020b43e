"""What goes from one causal layer to the next."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

Offsets = list[tuple[int, int]]
"""Places by rows and columns from here: ``(-1, 0)`` is the one above."""


class Streams(NamedTuple):
    """Features of an image: ``h`` ``[B, C, H, W]`` of places, and, in networks that have it, ``v`` of rows.

    What ``v`` says at a row comes from the rows of data above it; what ``h`` says at a place, from the pixels before
    it as well, in raster order. That of ``v`` may therefore be used at any place of its row and of those below.
    """

    v: Tensor | None
    h: Tensor


class Seen(NamedTuple):
    """Which pixels of data reach the features at a place: booleans ``[H * W, H * W]``, a row for each place."""

    v: Tensor | None
    h: Tensor


def near(H: int, W: int, offsets: Offsets) -> Tensor:
    """Which places lie at one of the offsets from each, within the image: booleans ``[H * W, H * W]``.

    >>> near(1, 3, [(0, -1), (0, 0)]).int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [0, 1, 1]], dtype=torch.int32)
    """
    rows, columns = torch.arange(H, device="cpu"), torch.arange(W, device="cpu")
    found = torch.zeros(H, W, H, W, dtype=torch.bool, device="cpu")
    for down, right in offsets:
        row = rows.unsqueeze(1) + down == rows
        column = columns.unsqueeze(1) + right == columns
        found |= row[:, None, :, None] & column[None, :, None, :]
    return found.flatten(2).flatten(0, 1)


def through(*steps: Tensor) -> Tensor:
    """What is reached step after step, the last one first: a product of booleans."""
    reached = steps[0]
    for step in steps[1:]:
        reached = (reached.float() @ step.float()) > 0
    return reached


def halving(H: int, W: int, offsets: Offsets) -> Tensor:
    """The same for every second row and column, of all places of a grid: booleans ``[H / 2 * W / 2, H * W]``.

    Transposed it is for a transposed convolution, which takes the offsets the other way round.

    >>> halving(2, 4, [(0, 0), (0, 1)]).int()
    tensor([[1, 1, 0, 0, 0, 0, 0, 0],
            [0, 0, 1, 1, 0, 0, 0, 0]], dtype=torch.int32)
    """
    return torch.unflatten(near(H, W, offsets), 0, (H, W))[::2, ::2].flatten(0, 1)
