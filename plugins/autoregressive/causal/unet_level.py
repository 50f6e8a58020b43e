"""Level of a U-net: gated pairs of one grid, around those of a grid of half its height and width."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from .gated_resnet import GatedPair, GatedPairStepper
from .half_resolution import Halved, HalvedStepper
from .layer import Seen, Stepper, Streams


class Scale(nn.Module):
    """Level of a U-net: gated pairs, the next level, and gated pairs with skip connections in reverse order.

    Shapes: `Streams` of ``[B, width, H, W]``, unchanged.
    """

    def __init__(self, width: int, blocks: int, scales: int, dropout: float, context: int) -> None:
        super().__init__()
        self.before = nn.ModuleList(GatedPair(width, 0, dropout, context) for _ in range(blocks))
        inner = Scale(width, blocks, scales - 1, dropout, context) if scales > 1 else None
        self.halved = Halved(width, inner) if inner else None
        after = blocks + 1 if inner else blocks
        self.after = nn.ModuleList(GatedPair(width, 1, dropout, context) for _ in range(after))

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        states = [streams]
        for pair in self.before:
            states.append(pair(states[-1], context=context))
        streams = states.pop() if self.halved is None else self.halved(states[-1], context)
        for pair in self.after:
            streams = pair(streams, states.pop(), context=context)
        return streams

    def reach(self, H: int, W: int, seen: Seen) -> Seen:
        """The dependencies of the features of the grid on data."""
        states = [seen]
        for pair in self._pairs(self.before):
            states.append(pair.reach(H, W, states[-1]))
        seen = states.pop() if self.halved is None else self.halved.reach(H, W, states[-1])
        for pair in self._pairs(self.after):
            seen = pair.reach(H, W, seen, states.pop())
        return seen

    def stepper(self, n: int, W: int, context: Tensor | None) -> Stepper:
        """Incremental evaluation of all levels on ``n`` images of ``W`` columns."""
        before = [pair.stepper(n, W, context) for pair in self._pairs(self.before)]
        halved = None if self.halved is None else self.halved.stepper(n, W, context)
        after = [pair.stepper(n, W, context) for pair in self._pairs(self.after)]
        return ScaleStepper(before, halved, after)

    @staticmethod
    def _pairs(modules: nn.ModuleList) -> Sequence[GatedPair]:
        return [module for module in modules if isinstance(module, GatedPair)]


class ScaleStepper(Stepper):
    """Incremental evaluation of all levels."""

    def __init__(
        self, before: Sequence[GatedPairStepper], halved: HalvedStepper | None, after: Sequence[GatedPairStepper]
    ) -> None:
        self.before, self.halved, self.after = before, halved, after

    def row(self, v: Tensor | None) -> Tensor | None:
        states: list[Tensor] = [v]  # type: ignore[list-item]
        for pair in self.before:
            states.append(pair.row(states[-1]))
        v = states.pop() if self.halved is None else self.halved.row(states[-1])
        for pair in self.after:
            v = pair.row(v, states.pop())
        return v

    def step(self, j: int, h: Tensor) -> Tensor:
        states = [h]
        for pair in self.before:
            states.append(pair.step(j, states[-1]))
        h = states.pop() if self.halved is None else self.halved.step(j, states[-1])
        for pair in self.after:
            h = pair.step(j, h, states.pop())
        return h
