"""Causal layers that treat each place separately."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

from torch import Tensor

from .layer import CausalLayer, Seen, Stepper, Streams


class PlacewiseLayer(CausalLayer, ABC):
    """Causal layer that computes the features of a place from those of the same place, and so needs no cache.

    The stream of rows is unchanged. With several colours it must obey their order, as `Pointwise` does.
    """

    @abstractmethod
    def at(self, h: Tensor) -> Tensor:
        """The features of places, ``[N, C]``, from the input features there."""

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        h = streams.h.movedim(1, -1)  # [B, H, W, C]
        y = self.at(h.flatten(0, -2))  # [B * H * W, C]
        return Streams(streams.v, y.view(h.shape).movedim(-1, 1))

    @final
    def reach(self, seen: Seen) -> Seen:
        return seen

    @final
    def stepper(self, n: int, context: Tensor | None = None) -> Stepper:
        return PlacewiseStepper(self)


class PlacewiseStepper(Stepper):
    """Evaluation of a placewise layer at one place."""

    def __init__(self, layer: PlacewiseLayer) -> None:
        self.layer = layer

    def row(self, v: Tensor | None) -> Tensor | None:
        return v

    def step(self, j: int, h: Tensor) -> Tensor:
        return self.layer.at(h)
