"""What the tabular sets of the MAF paper have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .maf_file import MafFile

Rows = NDArray[Any]


class Parts(NamedTuple):
    """Rows ``[N, D]`` in standardised units: train with validation, and test."""

    train: Rows
    test: Rows


class MafSet(ABC):
    """One of the sets: how the paper's published code splits, cleans and standardises its files."""

    dims: ClassVar[int]
    """How many columns are left."""

    files: ClassVar[Sequence[MafFile]]

    @abstractmethod
    def parts(self, root: str) -> Parts:
        """Both parts, read from the files under a root; raises `zoo.DataError` for what is missing or no such data."""


def last_tenth(rows: Rows) -> tuple[Rows, Rows]:
    """The rows but for the last tenth, rounded down, and that tenth.

    >>> [len(part) for part in last_tenth(np.zeros((29, 2)))]
    [27, 2]
    """
    cut = len(rows) - int(0.1 * len(rows))
    return rows[:cut], rows[cut:]


def standardised(rows: Rows, by: Rows, *, freedom: int = 0) -> Rows:
    """The rows in units of the standard deviation of others, from their mean.

    Squares are divided by the number of rows less ``freedom``. Infinite or NaN where a column is constant.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Rows = (rows - by.mean(0)) / by.std(0, ddof=freedom)
    return result
