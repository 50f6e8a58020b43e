"""A constant learning rate."""

from __future__ import annotations

from pydantic import NonNegativeInt

from zoo import Schedule, component

from .progress import warm_up


@component("constant")
class Constant(Schedule):
    """A constant learning rate, after a linear warm-up of ``warmup`` steps.

    >>> schedule = Constant(warmup=4)
    >>> [schedule.factor(step, 10) for step in (0, 1, 3, 10)]
    [0.25, 0.5, 1.0, 1.0]
    """

    def __init__(self, *, warmup: NonNegativeInt = 0) -> None:
        self.warmup = warmup

    def factor(self, step: int, steps: int) -> float:
        return warm_up(step, self.warmup)
