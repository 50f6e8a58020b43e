"""Plain records of a spec: frozen, strict, and nothing unknown accepted."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Record of a spec with these fields as keys. ``"64"`` and ``true`` are not accepted as integers."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False, protected_namespaces=()
    )


NOT_A_SIZE = object()
"""Marks a whole number that no part of a model is as large as: ``seed: Annotated[int, zoo.NOT_A_SIZE]``.

All other numbers of a share file's model are bounded before it is built.
"""
