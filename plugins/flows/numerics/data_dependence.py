"""Parts that learn from the activations of their forward pass."""

from __future__ import annotations

from torch import nn

from zoo import DataDependent, RunningStatistics


def learner_in(parts: nn.Module) -> str | None:
    """The class name of the first part that is initialised from, or averages over, its forward inputs; None without
    any.

    >>> learner_in(nn.Linear(1, 1)) is None
    True
    """
    return next((type(p).__name__ for p in parts.modules() if isinstance(p, DataDependent | RunningStatistics)), None)
