"""Residual connection around causal layers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from zoo import Part, Shape, TakesContext, component

from ..causal.layer import CausalLayer, Seen, Stepper, Streams
from ..causal.sequential import InTurn


@component("residual", example={"layers": ["pointwise", "masked_conv"]})
class Residual(CausalLayer, TakesContext):
    r"""Residual connection around a sequence of causal layers: :math:`h' = h + f_K(\cdots f_1(h))`.

    The stream of rows goes through the layers, without a residual connection. Layers that declare a ``context`` must
    declare the same size. It goes pixel by pixel if all of its layers do.

    Args:
        layers: The layers :math:`f_1, \dots, f_K`, in order.

    References: He et al., Deep Residual Learning for Image Recognition, 2015, arXiv:1512.03385.

    Shapes: `Streams` of ``[B, C, H, W]``, unchanged.
    """

    def __init__(
        self, shape: Shape, colours: int = 1, *, layers: Annotated[list[Part[CausalLayer]], Field(min_length=1)]
    ) -> None:
        super().__init__(shape, colours)
        self.layers = InTurn(layer(shape, colours) for layer in layers)
        self.vertical = self.layers.vertical
        self.context = self.layers.context

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        after: Streams = self.layers(streams, context)
        return Streams(after.v, streams.h + after.h)

    def reach(self, seen: Seen) -> Seen:
        after = self.layers.reach(seen)
        return Seen(after.v, seen.h | after.h)

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper | None:
        inner = self.layers.stepper(n, context)
        return None if inner is None else ResidualStepper(inner)


class ResidualStepper(Stepper):
    """Incremental evaluation of layers with a residual connection."""

    def __init__(self, inner: Stepper) -> None:
        self.inner = inner

    def row(self, v: Tensor | None) -> Tensor | None:
        return self.inner.row(v)

    def step(self, j: int, h: Tensor) -> Tensor:
        return h + self.inner.step(j, h)
