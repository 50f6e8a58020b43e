"""The averaged weights that are evaluated and exported."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..assembly.parameters import Frozen
from ..data.batches import Shuffled
from ..engine.fsdp import local, whole
from ..interfaces import Clock, Model, RunningStatistics
from ..progress import counted, doing

RECALIBRATION_BATCHES = 50


class Averaged:
    r"""An exponential moving average of the weights.

    .. math:: \bar\theta \leftarrow \bar\theta + (1 - d_t) (\theta - \bar\theta), \quad d_t = \min(d, (1+t)/(10+t))

    so that the random start is soon forgotten. Buffers (counters, controllers), parameters that are not trained (a
    teacher) and those of other players are not averaged: evaluation takes them as they are.
    """

    def __init__(
        self, model: Model, decay: float | None, names: Sequence[str], frozen: Frozen, another: Callable[[], Model]
    ) -> None:
        """An average of the parameters of these names, or of none without a ``decay``."""
        self.decay = decay
        self.names = list(names)
        named = dict(model.named_parameters())
        self._live = [named[name] for name in self.names]
        self.weights: list[Tensor] = [p.detach().clone() for p in self._live] if decay is not None else []
        self._model = model
        self._frozen, self._another = frozen, another
        self._copy: Model | None = None

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the weights after the step of this number."""
        if self.decay is not None:
            decay = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_([local(w) for w in self.weights], [local(p) for p in self._live], 1.0 - decay)

    @torch.no_grad()
    def model(self, recalibrate_on: Shuffled, clock: Clock) -> Model:
        """A copy of the model with the averaged weights, in evaluation mode."""
        if self._copy is None:
            self._copy = self._another()
        evaluated = self._copy
        live = _tensors(self._model)
        for name, mine in _tensors(evaluated).items():
            if mine is not live[name]:  # what is frozen is the same tensor
                mine.copy_(whole(live[name]))
        if self.decay is not None:
            named = dict(evaluated.named_parameters())
            for name, average in zip(self.names, self.weights, strict=True):
                named[name].copy_(whole(average))
        recalibrate(evaluated, self._frozen, recalibrate_on, clock)
        return evaluated.eval()


def _tensors(model: Model) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


@torch.no_grad()
def recalibrate(model: Model, frozen: Frozen, data: Shuffled, clock: Clock) -> None:
    """Recompute running statistics for these weights: those of other weights would be wrong.

    Those of frozen parts are as they were: their weights are those that they were collected under.
    """
    running = running_statistics(model, frozen)
    if not running:
        return
    for part in running:
        part.reset()
    frozen.train(model)
    turns = min(RECALIBRATION_BATCHES, -(-len(data.source) // data.batch))
    with doing("statistics"):
        for turn in counted(range(turns), turns):
            model(data.turn(turn), clock)


def running_statistics(model: Model, frozen: Frozen) -> list[RunningStatistics]:
    """The parts of a model whose averages over training batches are collected before it is evaluated."""
    still = {part for name in frozen.parts for part in model.get_submodule(name).modules()}
    return [m for m in model.modules() if isinstance(m, RunningStatistics) and m not in still]
