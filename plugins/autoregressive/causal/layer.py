"""Causal layers: the kind, the features between them, and their way through an image pixel by pixel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from zoo import Component, Contract, Shape, misshapen, wrong_context

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


class Stepper(ABC):
    """A layer on its way through ``n`` images: it keeps what later places ask for, and no more.

    Rows come from the top. `row` is called first in each, `step` then for each column from the left; for a column it
    may be called again with what has changed there meanwhile, and the last call counts. What both compute is what
    ``forward`` does, to rounding.
    """

    @abstractmethod
    def row(self, v: Tensor | None) -> Tensor | None:
        """The next row of the vertical stream, ``[n, C, 1, W]``; the one before is complete."""

    @abstractmethod
    def step(self, j: int, h: Tensor) -> Tensor:
        """The features at column j of the row, ``[n, C]``."""


class CausalLayer(Component, nn.Module, ABC):
    """A layer that keeps the form of its features, each place from itself and the places before it.

    In raster order, and, of the vertical stream, row by row. With several ``colours`` feature i belongs to colour
    ``i % colours``, and at its own place sees the features of its own colour and of those before.

    Shapes: `Streams` of ``[B, *shape]``, unchanged.
    """

    vertical: bool = False
    """Whether it needs the stream of the rows above."""

    context: int = 0

    def __init__(self, shape: Shape, colours: int = 1) -> None:
        super().__init__()
        if shape[0] % colours:
            raise ValueError(f"a width of {shape[0]} is not a multiple of the {colours} colours")
        self.shape = shape
        self.colours = colours

    @abstractmethod
    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        """The features of whole images."""

    @abstractmethod
    def reach(self, seen: Seen) -> Seen:
        """Which data reaches its features, from which data reaches those below: a declaration, that laws compare."""

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper | None:
        """The layer on its way through ``n`` images; a hook: None where it cannot go pixel by pixel."""
        return None

    @staticmethod
    def _takes(layer: Any, args: tuple[Any, ...]) -> str | None:
        v, h = args[0]
        if layer.vertical and v is None:
            return "there is no stream of rows above: a layer below gives none"
        return misshapen("its input", h, layer.shape) or wrong_context(layer, args)

    @staticmethod
    def _gives(layer: Any, result: Any) -> str | None:
        if not isinstance(result, Streams):
            return f"its forward returns {type(result).__name__}, not Streams"
        wrong = None if result.v is None else misshapen("its vertical output", result.v, layer.shape)
        return wrong or misshapen("its output", result.h, layer.shape)

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}
