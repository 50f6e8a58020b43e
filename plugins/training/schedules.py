"""Learning-rate schedules."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, NonNegativeInt

from zoo import Schedule, component


def warm_up(step: int, warmup: int) -> float:
    """The factor of a linear warm-up: ``1 / warmup`` at step 0, so that the first step is not zero, and 1 after it."""
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


def progress(step: int, steps: int, warmup: int) -> float:
    """The share of training after the warm-up: from 0 to 1 at ``steps``; 0 throughout a warm-up that fills the run."""
    return min(1.0, max(0, step - warmup) / max(1, steps - warmup))


@component("constant")
class Constant(Schedule):
    """Constant learning rate, after a linear warm-up.

    Args:
        warmup: The steps of the warm-up.

    >>> schedule = Constant(warmup=4)
    >>> [schedule.factor(step, 10) for step in (0, 1, 3, 10)]
    [0.25, 0.5, 1.0, 1.0]
    """

    def __init__(self, *, warmup: NonNegativeInt = 0) -> None:
        self.warmup = warmup

    def factor(self, step: int, steps: int) -> float:
        return warm_up(step, self.warmup)


@component("linear")
class Linear(Schedule):
    r"""Linear decay of the learning rate, after a linear warm-up.

    .. math:: f = 1 - (1 - r)\,t

    where :math:`t` runs from 0 after the warm-up to 1 at the end of the horizon.

    Args:
        warmup: The steps of the warm-up.
        final: The factor at the end, :math:`r`.

    >>> schedule = Linear(warmup=2)
    >>> [schedule.factor(step, 10) for step in (0, 2, 6, 10)]
    [0.5, 1.0, 0.5, 0.0]
    """

    def __init__(self, *, warmup: NonNegativeInt = 0, final: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0) -> None:
        self.warmup, self.final = warmup, final

    def factor(self, step: int, steps: int) -> float:
        return warm_up(step, self.warmup) * (1.0 - (1.0 - self.final) * progress(step, steps, self.warmup))


@component("cosine")
class Cosine(Schedule):
    r"""Cosine decay of the learning rate, after a linear warm-up.

    .. math:: f = r + (1 - r)\,\tfrac12 (1 + \cos \pi t)

    where :math:`t` runs from 0 after the warm-up to 1 at the end of the horizon.

    Args:
        warmup: The steps of the warm-up.
        final: The factor at the end, :math:`r`.

    References: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2016, arXiv:1608.03983,
    eq. 5, without restarts.

    >>> schedule = Cosine(final=0.1)
    >>> [round(schedule.factor(step, 10), 4) for step in (0, 5, 10)]
    [1.0, 0.55, 0.1]
    """

    def __init__(self, *, warmup: NonNegativeInt = 0, final: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0) -> None:
        self.warmup, self.final = warmup, final

    def factor(self, step: int, steps: int) -> float:
        t = progress(step, steps, self.warmup)
        return warm_up(step, self.warmup) * (self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * t)))


@component("exponential")
class Exponential(Schedule):
    r"""Exponential decay of the learning rate, after a linear warm-up.

    .. math:: f = r^t

    where :math:`t` runs from 0 after the warm-up to 1 at the end of the horizon.

    Args:
        warmup: The steps of the warm-up.
        final: The factor at the end, :math:`r`.

    >>> schedule = Exponential(final=0.01)
    >>> [round(schedule.factor(step, 10), 4) for step in (0, 5, 10)]
    [1.0, 0.1, 0.01]
    """

    def __init__(self, *, warmup: NonNegativeInt = 0, final: Annotated[float, Field(gt=0.0, le=1.0)] = 0.01) -> None:
        self.warmup, self.final = warmup, final

    def factor(self, step: int, steps: int) -> float:
        return warm_up(step, self.warmup) * float(self.final ** progress(step, steps, self.warmup))
