"""Models with a variational bound, among all models."""

from __future__ import annotations

from zoo import Model, VariationalBound


def bounds(model: Model) -> VariationalBound:
    """The model as one with a variational bound; ValueError where it has none."""
    if not isinstance(model, VariationalBound):
        raise ValueError(f"the model {type(model).__name__} has no variational bound to measure")
    return model
