"""Causal layers: their kind, their features, and their incremental evaluation pixel by pixel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from zoo import Component, Contract, Shape, misshapen, wrong_context

Offsets = list[tuple[int, int]]
"""Relative places by rows and columns: ``(-1, 0)`` is the one above."""


class Streams(NamedTuple):
    """Features of an image: ``h`` ``[B, C, H, W]`` of places, and, in networks that have it, ``v`` of rows.

    ``v`` at a row depends on the rows of data above it; ``h`` at a place depends on all pixels before it, in raster
    order. ``v`` may therefore be used at any place of its row and of those below.
    """

    v: Tensor | None
    h: Tensor


class Seen(NamedTuple):
    """Pixels of data on which the features at a place depend: booleans ``[H * W, H * W]``, a row for each place."""

    v: Tensor | None
    h: Tensor


def near(H: int, W: int, offsets: Offsets) -> Tensor:
    """Which places lie at one of the offsets from each place, within the image: booleans ``[H * W, H * W]``.

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
    return found.flatten(2).flatten(0, 1)  # [H, W, H, W] -> [H * W, H * W]


def through(*steps: Tensor) -> Tensor:
    """Composition of dependencies, the last step first: a product of boolean matrices."""
    reached = steps[0]
    for step in steps[1:]:
        reached = (reached.float() @ step.float()) > 0
    return reached


def halving(H: int, W: int, offsets: Offsets) -> Tensor:
    """`near` for every second row and column, to all places of a grid: booleans ``[H / 2 * W / 2, H * W]``.

    Its transpose is for a transposed convolution, whose offsets have the opposite direction.

    >>> halving(2, 4, [(0, 0), (0, 1)]).int()
    tensor([[1, 1, 0, 0, 0, 0, 0, 0],
            [0, 0, 1, 1, 0, 0, 0, 0]], dtype=torch.int32)
    """
    return torch.unflatten(near(H, W, offsets), 0, (H, W))[::2, ::2].flatten(0, 1)


class Stepper(ABC):
    """Incremental evaluation of a layer on ``n`` images, which stores only what later places need.

    Rows come from the top. In each row `row` is called first, then `step` for each column from the left; it may be
    called again for a column whose input has changed, and the last call counts. Both compute the same as ``forward``,
    up to rounding.
    """

    @abstractmethod
    def row(self, v: Tensor | None) -> Tensor | None:
        """The next row of the vertical stream, ``[n, C, 1, W]``; the one before is complete."""

    @abstractmethod
    def step(self, j: int, h: Tensor) -> Tensor:
        """The features at column j of the row, ``[n, C]``."""


class CausalLayer(Component, nn.Module, ABC):
    """Causal layer: the features of each place depend on itself and the places before it; their shape is unchanged.

    The order is raster order, and row by row for the vertical stream. With several ``colours`` feature i belongs to
    colour ``i % colours``, and at its own place sees the features of its own colour and of those before.

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
        """The dependencies of its features on data, from those of its input: a declaration, which laws check."""

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper | None:
        """Incremental evaluation on ``n`` images; None, the default, if it cannot go pixel by pixel."""
        return None

    @staticmethod
    def _takes(layer: Any, args: tuple[Any, ...]) -> str | None:
        v, h = args[0]
        if layer.vertical and v is None:
            return "needs a stream of rows, which the layer below does not have"
        return misshapen("its input", h, layer.shape) or wrong_context(layer, args)

    @staticmethod
    def _gives(layer: Any, result: Any) -> str | None:
        if not isinstance(result, Streams):
            return f"its forward returns {type(result).__name__}, expected Streams"
        wrong = None if result.v is None else misshapen("its vertical output", result.v, layer.shape)
        return wrong or misshapen("its output", result.h, layer.shape)

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}
