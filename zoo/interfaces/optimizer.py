"""Kinds of training: optimizers and learning-rate schedules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from pydantic import NonNegativeFloat, PositiveFloat

from ..settings import Settings
from .component import Component


class ParameterGroup(Settings):
    """Settings for the parameters whose names match a pattern (``*.log_s``)."""

    match: str
    lr: PositiveFloat | None = None
    weight_decay: NonNegativeFloat | None = None


class Optimizer(Component, ABC):
    """Base class of optimizers.

    Args:
        groups: Groups of parameters with other settings. A parameter belongs to the first group whose ``match``, a
            pattern, matches its name.
    """

    def __init__(self, groups: Sequence[ParameterGroup]) -> None:
        self.groups = groups

    @abstractmethod
    def build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The torch optimizer over parameter groups: ``params``, and the settings that differ from the declaration."""


class Schedule(Component, ABC):
    """A factor on every learning rate."""

    @abstractmethod
    def factor(self, step: int, steps: int) -> float:
        """The factor at ``step`` of the horizon ``steps``."""
