"""Causal layers one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor, nn

from .layer import CausalLayer, Seen, Stepper, Streams


class InTurn(nn.ModuleList):
    """Causal layers, each of what the one before gives; those that declare a context are told it.

    They go pixel by pixel where all of them do.
    """

    def __init__(self, layers: Iterable[CausalLayer]) -> None:
        super().__init__(layers)

    @property
    def vertical(self) -> bool:
        """Whether one of them needs the stream of the rows above."""
        return any(layer.vertical for layer in self._causal())

    @property
    def context(self) -> int:
        """How large a context they declare."""
        return max((layer.context for layer in self._causal()), default=0)

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        for layer in self:
            streams = layer(streams, context if layer.context else None)
        return streams

    def reach(self, seen: Seen) -> Seen:
        """Which data reaches the features after the last one."""
        for layer in self._causal():
            seen = layer.reach(seen)
        return seen

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper | None:
        """All of them on their way through ``n`` images; None where one cannot go pixel by pixel."""
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
    """Layers one after the other, of one place at a time."""

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
