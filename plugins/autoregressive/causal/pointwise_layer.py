"""Layers that take each place by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

from torch import Tensor

from .layer import CausalLayer, Seen, Stepper, Streams


class PlacewiseLayer(CausalLayer, ABC):
    """A layer that makes the features of a place of those at the place alone: it goes pixel by pixel for free.

    The stream of rows is left as it is. With several colours it must keep to their rule by itself, as `Pointwise` does.
    """

    @abstractmethod
    def at(self, h: Tensor) -> Tensor:
        """The features of places, ``[N, C]``, from those there."""

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        h = streams.h.movedim(1, -1)
        y = self.at(h.flatten(0, -2))
        return Streams(streams.v, y.view(h.shape).movedim(-1, 1))

    @final
    def reach(self, seen: Seen) -> Seen:
        return seen

    @final
    def stepper(self, n: int, context: Tensor | None = None) -> Stepper:
        return PlacewiseStepper(self)


class PlacewiseStepper(Stepper):
    """The same layer, of one place."""

    def __init__(self, layer: PlacewiseLayer) -> None:
        self.layer = layer

    def row(self, v: Tensor | None) -> Tensor | None:
        return v

    def step(self, j: int, h: Tensor) -> Tensor:
        return self.layer.at(h)
