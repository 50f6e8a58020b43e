"""Cosine decay of the learning rate."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, NonNegativeInt

from zoo import Schedule, component

from .progress import progress, warm_up


@component("cosine")
class Cosine(Schedule):
    r"""Half a cosine from 1 down to ``final``, after a linear warm-up of ``warmup`` steps.

    .. math:: f = r + (1 - r)\,\tfrac12 (1 + \cos \pi t)

    where :math:`r` = ``final`` and :math:`t` runs from 0 after the warm-up to 1 at the end of the horizon.

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
