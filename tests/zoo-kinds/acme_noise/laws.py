"""The laws of noise schedules."""

from __future__ import annotations

import torch

from zoo.testing import Laws, in_float64, require

from .schedule import Schedule


def goes_from_one_to_zero(schedule: Schedule) -> None:
    """All of the data is left at time 0, and none at time 1."""
    first, last = schedule(torch.tensor([0.0, 1.0], dtype=torch.float64)).tolist()
    require(abs(first - 1.0) < 1e-9 and abs(last) < 1e-9, f"it goes from {first:g} to {last:g}; expected 1 to 0")


def decreases(schedule: Schedule) -> None:
    """Less is left at a later time."""
    share = schedule(torch.linspace(0.0, 1.0, 101, dtype=torch.float64))
    require((share.diff() < 0).all(), "a schedule must decrease everywhere")


LAWS = Laws.of(goes_from_one_to_zero, decreases, given=[()], hold=in_float64)
