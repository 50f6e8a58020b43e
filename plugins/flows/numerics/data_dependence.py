"""Parts that learn from what goes forward through them."""

from __future__ import annotations

from torch import nn

from zoo import DataDependent, RunningStatistics


def learner_in(parts: nn.Module) -> str | None:
    """The class of the first part that starts from, or averages over, what goes forward through it, if there is one.

    >>> learner_in(nn.Linear(1, 1)) is None
    True
    """
    return next((type(p).__name__ for p in parts.modules() if isinstance(p, DataDependent | RunningStatistics)), None)
