"""The averaged weights that are evaluated and exported."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..data.batches import Shuffled
from ..engine.fsdp import local, whole
from ..interfaces import Clock, Model, RunningStatistics
from ..progress import counted, doing

RECALIBRATION_BATCHES = 50


class Averaged:
    r"""An exponential moving average of the weights.

    .. math:: \bar\theta \leftarrow \bar\theta + (1 - d_t) (\theta - \bar\theta), \quad d_t = \min(d, (1+t)/(10+t))

    so that the random start is soon forgotten. Buffers (counters, controllers) and parameters that are not trained (a
    teacher) are not averaged: evaluation takes them as they are.
    """

    def __init__(self, model: Model, decay: float | None, another: Callable[[], Model]) -> None:
        self.decay = decay
        self._live = _trained(model)
        self.weights: list[Tensor] = [p.detach().clone() for p in self._live] if decay is not None else []
        self._model = model
        self._another = another
        self._copy: Model | None = None

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the weights after the step of this number."""
        if self.decay is not None:
            decay = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_([local(w) for w in self.weights], [local(p) for p in self._live], 1.0 - decay)

    @torch.no_grad()
    def model(self, recalibrate_on: Shuffled, clock: Clock) -> Model:
        """A model of its own with the averaged weights, in evaluation mode."""
        if self._copy is None:
            self._copy = self._another()
        evaluated = self._copy
        for mine, live in zip(_tensors(evaluated), _tensors(self._model), strict=True):
            mine.copy_(whole(live))
        if self.decay is not None:
            for mine, average in zip(_trained(evaluated), self.weights, strict=True):
                mine.copy_(whole(average))
        recalibrate(evaluated, recalibrate_on, clock)
        return evaluated.eval()


def _trained(model: Model) -> list[Tensor]:
    return [p for p in model.parameters() if p.requires_grad]


def _tensors(model: Model) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


@torch.no_grad()
def recalibrate(model: Model, data: Shuffled, clock: Clock) -> None:
    """Collect running statistics anew, under these very weights: averages of other weights' are a trap."""
    running = [m for m in model.modules() if isinstance(m, RunningStatistics)]
    if not running:
        return
    for part in running:
        part.reset()
    model.train()
    turns = min(RECALIBRATION_BATCHES, -(-len(data.source) // data.batch))
    with doing("statistics"):
        for turn in counted(range(turns), turns):
            model(data.turn(turn), clock)
