"""The kind of first layers: from data to features that do not know their own pixel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from zoo import Component, Contract, Shape, misshapen

from .streams import Seen, Streams


class EntryStepper(ABC):
    """A first layer on its way through ``n`` images: it is told the data as it becomes known."""

    @abstractmethod
    def row(self) -> Tensor | None:
        """The vertical stream at the next row, ``[n, C, 1, W]``; the rows above are known."""

    @abstractmethod
    def read(self, j: int) -> Tensor:
        """The features at column j, ``[n, C]``, from what is known."""

    @abstractmethod
    def write(self, j: int, colour: int, x: Tensor) -> None:
        """What is known at column j: of one colour ``[n, features]``, or of all where they come together."""


class CausalEntry(Component, nn.Module, ABC):
    """A first layer: each place from the pixels before it, and none from its own.

    With several ``colours`` feature i belongs to colour ``i % colours``, as channel i of the input does, and at its
    own pixel sees the colours before its own. ``vertical`` says whether the layers above ask for a stream of rows.

    Shapes: ``[B, *in_shape]`` to `Streams` of ``[B, *out_shape]``.
    """

    def __init__(self, in_shape: Shape, out_shape: Shape, colours: int = 1, vertical: bool = False) -> None:
        super().__init__()
        self.in_shape = in_shape
        self.out_shape = out_shape
        self.colours = colours
        self.vertical = vertical

    @abstractmethod
    def forward(self, x: Tensor) -> Streams:
        """The features of whole images."""

    @abstractmethod
    def reach(self) -> Seen:
        """Which pixels reach its features, as declared."""

    @abstractmethod
    def stepper(self, n: int) -> EntryStepper:
        """The layer on its way through ``n`` images."""

    @staticmethod
    def _takes(entry: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("its input", args[0], entry.in_shape)

    @staticmethod
    def _gives(entry: Any, result: Any) -> str | None:
        return misshapen("its output", result.h, entry.out_shape)

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}
