"""The kind of layers between the features of an image that look at nothing ahead."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from zoo import Component, Contract, Shape, misshapen, wrong_context

from .stepper import Stepper
from .streams import Seen, Streams


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
            raise ValueError(f"a width of {shape[0]} is no multiple of the {colours} colours")
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
