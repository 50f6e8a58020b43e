"""Sprites, drawn from their factors."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from .sprite_grid import FACTORS
from .sprite_outlines import LINES, PER_PIXEL, REACH, crossings

FRAME = 64
"""Pixels along a side of dSprites, to which all lengths refer."""
MARGIN = 16
"""Pixels at each border of the frame in which no centre lies."""


def draw(factors: Tensor, side: int = FRAME) -> Tensor:
    r"""White sprites on black: factors int64 ``[B, 5]`` to images uint8 ``[B, 1, side, side]`` of zeros and ones.

    A pixel is white where its centre lies inside the outline. A coarser image, with a ``side`` of 8, 16 or 32, shows
    the same frame. The centres of pixels and sprites lie on one lattice of 31 lines a pixel, so that whole numbers
    decide: a row crosses the outline at most four times, and what has an odd number of crossings to its left is inside.

    >>> draw(torch.tensor([[1, 5, 0, 15, 15]]), side=8)[0, 0, 3:5].tolist()
    [[0, 0, 0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0, 0, 0]]
    """
    shape, scale, orientation, x, y = factors.unbind(1)
    outline = (shape * FACTORS["scale"] + scale) * FACTORS["orientation"] + orientation
    stride, half = PER_PIXEL * FRAME // side, PER_PIXEL * FRAME / (2 * side)
    first, shift = int(half) - PER_PIXEL * MARGIN, half % 1.0
    # Pixel k is at line first + stride * k of the lattice about a sprite at position 0.
    line = first + stride * torch.arange(side, device=factors.device) - FRAME // 2 * y.unsqueeze(1)
    row = outline.unsqueeze(1) * LINES + line.clamp(-REACH, REACH) + REACH
    crossed = crossings(shift, factors.device).index_select(0, row.flatten()).int().reshape(-1, side, 4)
    offset = (FRAME // 2 * x - first).int().reshape(-1, 1, 1)
    column = (crossed + offset + (stride - 1)).div(stride, rounding_mode="floor").clamp(0, side)
    return _filled(column, side)


def _filled(column: Tensor, side: int) -> Tensor:
    """The first columns ``[B, side, 4]`` past each crossing, as images."""
    a, b, c, d = column.unbind(2)
    spans = _spans(side, column.device)
    rows = [spans.index_select(0, (start * (side + 1) + end).flatten()) for start, end in ((a, b), (c, d))]
    return (rows[0] ^ rows[1]).view(torch.uint8).reshape(-1, 1, side, side)


@lru_cache(maxsize=8)
def _spans(side: int, device: torch.device) -> Tensor:
    """Rows of pixels that are one between two columns: ``[(side + 1)^2, side / 8]``, eight pixels a number."""
    past = torch.arange(side + 1).unsqueeze(1) <= torch.arange(side)
    spans = past.unsqueeze(0) ^ past.unsqueeze(1)
    return spans.view(torch.uint8).reshape(-1, side).view(torch.int64).to(device)
