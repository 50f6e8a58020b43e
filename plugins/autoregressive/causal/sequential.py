"""Sequence of causal layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor, nn

from .layer import CausalLayer, Seen, Stepper, Streams


class InTurn(nn.ModuleList):
    """Sequence of causal layers; those that declare a context get it.

    It goes pixel by pixel if all of its layers do.
    """

    def __init__(self, layers: Iterable[CausalLayer]) -> None:
        super().__init__(layers)

    @property
    def vertical(self) -> bool:
        """Whether one of them needs the stream of the rows above."""
        return any(layer.vertical for layer in self._causal())

    @property
    def context(self) -> int:
        """The largest declared size of a context."""
        return max((layer.context for layer in self._causal()), default=0)

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        for layer in self:
            streams = layer(streams, context if layer.context else None)
        return streams

    def reach(self, seen: Seen) -> Seen:
        """The dependencies of the features after the last layer on data."""
        for layer in self._causal():
            seen = layer.reach(seen)
        return seen

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper | None:
        """Incremental evaluation on ``n`` images; None if one layer cannot go pixel by pixel."""
        steppers: list[Stepper] = []
        for layer in self._causal():
            stepper = layer.stepper(n, context if layer.context else None)
            if stepper is None:
                return None
            steppers.append(stepper)
        return InTurnStepper(steppers)

    def _causal(self) -> Iterator[CausalLayer]:
        for layer in self:
            if isinstance(layer, CausalLayer):
                yield layer


class InTurnStepper(Stepper):
    """Incremental evaluation of a sequence of layers."""

    def __init__(self, steppers: Sequence[Stepper]) -> None:
        self.steppers = steppers

    def row(self, v: Tensor | None) -> Tensor | None:
        for stepper in self.steppers:
            v = stepper.row(v)
        return v

    def step(self, j: int, h: Tensor) -> Tensor:
        for stepper in self.steppers:
            h = stepper.step(j, h)
        return h
