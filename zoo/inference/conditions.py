"""What draws are conditioned on: a label, features of a file, or each class in turn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data.row_file import row_file
from ..errors import DataError, UsageError
from ..interfaces import Model


def condition(model: Model, n: int, *, label: int | None = None, features: Path | None = None) -> Tensor | None:
    """The context of ``n`` draws, on the CPU; None for a model of data alone.

    One ``label`` or one row of ``features`` is that of all draws. Where neither is said labels are taken in turn.
    Raises `zoo.UsageError` for what does not go with the model.
    """
    source = model.conditioned_on
    for option, said, wanted in (("--label", label, "label"), ("--features", features, "features")):
        if said is not None and source != wanted:
            given = "unconditional" if source is None else f"conditioned on its {source}"
            raise UsageError(f"{option} has no effect: this model is {given}")
    match source:
        case None:
            return None
        case "label":
            return _labels(model.event.classes or 0, n, label)
        case "features" if features is not None:
            return _rows(features, model.event.features or 0, n)
    raise UsageError(f"this model's draws are conditioned on {source}: say which, by --features FILE")


def placeholder(model: Model, n: int) -> Tensor | None:
    """A context of the right form, where what it says is of no account."""
    return None if model.conditioned_on is None else model.event.example(n, "cpu")[model.conditioned_on]


def _labels(classes: int, n: int, label: int | None) -> Tensor:
    if label is None:
        return torch.arange(n).remainder(classes)
    if not 0 <= label < classes:
        raise UsageError(f"there is no label {label}: they go from 0 to {classes - 1}")
    return torch.full((n,), label)


def _rows(path: Path, columns: int, n: int) -> Tensor:
    file = row_file(path)
    rows = file.rows()[:, file.positions()]
    if rows.shape[1] != columns or rows.shape[0] not in (1, n):
        raise DataError(f"{path} has {rows.shape[0]} rows of {rows.shape[1]} features, not 1 or {n} of {columns}")
    return torch.from_numpy(rows.astype(np.float32)).expand(n, -1)
