"""Exponential decay of the learning rate."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt

from zoo import Schedule, component

from .progress import progress, warm_up


@component("exponential")
class Exponential(Schedule):
    r"""Decay by the same ratio in each step, from 1 to ``final``, after a linear warm-up of ``warmup`` steps.

    .. math:: f = r^t

    where :math:`r` = ``final`` and :math:`t` runs from 0 after the warm-up to 1 at the end of the horizon.

    >>> schedule = Exponential(final=0.01)
    >>> [round(schedule.factor(step, 10), 4) for step in (0, 5, 10)]
    [1.0, 0.1, 0.01]
    """

    def __init__(self, *, warmup: NonNegativeInt = 0, final: Annotated[float, Field(gt=0.0, le=1.0)] = 0.01) -> None:
        self.warmup, self.final = warmup, final

    def factor(self, step: int, steps: int) -> float:
        return warm_up(step, self.warmup) * float(self.final ** progress(step, steps, self.warmup))
