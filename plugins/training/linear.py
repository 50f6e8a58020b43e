"""Linear decay of the learning rate."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt

from zoo import Schedule, component

from .progress import progress, warm_up


@component("linear")
class Linear(Schedule):
    r"""A straight line from 1 down to ``final``, after a linear warm-up of ``warmup`` steps.

    .. math:: f = 1 - (1 - r)\,t

    where :math:`r` = ``final`` and :math:`t` runs from 0 after the warm-up to 1 at the end of the horizon.

    >>> schedule = Linear(warmup=2)
    >>> [schedule.factor(step, 10) for step in (0, 2, 6, 10)]
    [0.5, 1.0, 0.5, 0.0]
    """

    def __init__(self, *, warmup: NonNegativeInt = 0, final: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0) -> None:
        self.warmup, self.final = warmup, final

    def factor(self, step: int, steps: int) -> float:
        return warm_up(step, self.warmup) * (1.0 - (1.0 - self.final) * progress(step, steps, self.warmup))
