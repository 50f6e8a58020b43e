"""Weights of terms of a loss: numbers, or schedules of the progress of training."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from zoo import Clock, Settings


class Ramp(Settings):
    r"""A weight that moves from one value to another.

    .. math:: w = w_1 + (w_0 - w_1)\, s(\min(1, t / u))

    with the progress of training :math:`t` between 0 and 1; :math:`s(u) = 1 - u`, or
    :math:`\tfrac12 (1 + \cos \pi u)`.

    >>> clock = Clock(torch.tensor(25), 100)
    >>> float(at(Ramp(start=1.0, end=0.0, until=0.5), clock))
    0.5
    """

    start: NonNegativeFloat
    """The value at the start, w_0."""
    end: NonNegativeFloat
    """The value from `until` on, w_1."""
    until: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The progress of training at which the last value is reached."""
    shape: Literal["linear", "cosine"] = "linear"
    """The way from the first value to the last."""


Weight = NonNegativeFloat | Ramp
"""A number, or a schedule of the progress of training."""


def at(weight: float | Ramp, clock: Clock) -> Tensor:
    """The weight at a moment of training, a scalar in float32 on the device of the clock."""
    if not isinstance(weight, Ramp):
        return torch.full((), weight, device=clock.step.device)
    done = (clock.progress / weight.until).clamp(max=1.0)
    left = 1 - done if weight.shape == "linear" else (1 + (math.pi * done).cos()) / 2
    return weight.end + (weight.start - weight.end) * left
