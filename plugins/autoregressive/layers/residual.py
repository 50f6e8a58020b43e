"""Layers whose features are added to what went into them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from zoo import Part, Shape, TakesContext, component

from ..stack.causal_layer import CausalLayer
from ..stack.stepper import Stepper
from ..stack.streams import Seen, Streams


@component("residual", example={"layers": ["pointwise", "masked_conv"]})
class Residual(CausalLayer, TakesContext):
    r"""Causal layers in a row, and a way around them: :math:`h' = h + f_K(\cdots f_1(h))`.

    The stream of rows goes through the layers, with no way around. Layers that declare a ``context`` are to declare
    the same. It goes pixel by pixel where all of its layers do.

    References: He et al., Deep Residual Learning for Image Recognition, 2015, arXiv:1512.03385.

    Shapes: `Streams` of ``[B, C, H, W]``, unchanged.
    """

    def __init__(
        self, shape: Shape, colours: int = 1, *, layers: Annotated[list[Part[CausalLayer]], Field(min_length=1)]
    ) -> None:
        super().__init__(shape, colours)
        self.layers = nn.ModuleList(layer(shape, colours) for layer in layers)
        self.vertical = any(layer.vertical for layer in self._causal())
        self.context = max(layer.context for layer in self._causal())

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        after = streams
        for layer in self.layers:
            after = layer(after, context if layer.context else None)
        return Streams(after.v, streams.h + after.h)

    def reach(self, seen: Seen) -> Seen:
        after = seen
        for layer in self._causal():
            after = layer.reach(after)
        return Seen(after.v, seen.h | after.h)

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper | None:
        steppers = []
        for layer in self._causal():
            stepper = layer.stepper(n, context if layer.context else None)
            if stepper is None:
                return None
            steppers.append(stepper)
        return ResidualStepper(steppers)

    def _causal(self) -> Iterator[CausalLayer]:
        for layer in self.layers:
            if isinstance(layer, CausalLayer):
                yield layer


class ResidualStepper(Stepper):
    """Layers in a row, and a way around them, of one place at a time."""

    def __init__(self, steppers: Sequence[Stepper]) -> None:
        self.steppers = steppers

    def row(self, v: Tensor | None) -> Tensor | None:
        for stepper in self.steppers:
            v = stepper.row(v)
        return v

    def step(self, j: int, h: Tensor) -> Tensor:
        y = h
        for stepper in self.steppers:
            y = stepper.step(j, y)
        return h + y
