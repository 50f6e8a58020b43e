"""Preprocessing of the tables that masked autoregressive flows are compared on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo import DataError

from ..locate import locate

ARCHIVE = "the paper's archive, data.tar.gz of https://zenodo.org/record/1161203"


@dataclass(frozen=True)
class MafFile:
    """File under the root, and where to get it. `zoo.DataError` if it is missing or unreadable."""

    path: str
    origin: str

    def find(self, root: str) -> Path:
        """The path of the file."""
        try:
            return locate(str(Path(root) / self.path))
        except DataError as error:
            raise DataError(f"{error}. {self.hint}") from None

    def array(self, root: str, columns: int) -> NDArray[Any]:
        """The rows of an ``.npy`` file, in its own dtype: ``[N, columns]``."""
        path = self.find(root)
        try:
            rows: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise DataError(f"{path} is not an array of numbers: {error}. {self.hint}") from error
        if not isinstance(rows, np.ndarray):
            raise DataError(f"{path} is an archive of arrays, expected one array. {self.hint}")
        if rows.ndim != 2 or rows.shape[1] != columns or not len(rows) or rows.dtype.kind not in "fiu":
            raise DataError(f"{path} is {rows.dtype} {list(rows.shape)}, expected numbers [N, {columns}]. {self.hint}")
        return rows

    def table(self, root: str, columns: int) -> NDArray[np.float64]:
        """The first ``columns`` columns of a ``.csv`` file below its header: ``[N, columns]``."""
        path = self.find(root)
        try:
            return np.loadtxt(path, comments=None, delimiter=",", skiprows=1, usecols=range(columns), ndmin=2)
        except ValueError as error:
            raise DataError(f"{path} has no {columns} columns of numbers. {self.hint}") from error

    @property
    def hint(self) -> str:
        """One sentence on where to get the file."""
        return f"'{self.path}' is {self.origin}"


Rows = NDArray[Any]


class Parts(NamedTuple):
    """Rows ``[N, D]`` in standardised units: train with validation, and test."""

    train: Rows
    test: Rows


class MafSet(ABC):
    """Preprocessing of one data set, as the paper's published code splits, cleans and standardises its files."""

    dims: ClassVar[int]
    """The number of columns after preprocessing."""

    files: ClassVar[Sequence[MafFile]]

    @abstractmethod
    def parts(self, root: str) -> Parts:
        """Both parts, read from the files under a root; raises `zoo.DataError` for missing or invalid files."""


def last_tenth(rows: Rows) -> tuple[Rows, Rows]:
    """The rows without the last tenth, rounded down, and that tenth.

    >>> [len(part) for part in last_tenth(np.zeros((29, 2)))]
    [27, 2]
    """
    cut = len(rows) - int(0.1 * len(rows))
    return rows[:cut], rows[cut:]


def standardised(rows: Rows, by: Rows, *, freedom: int = 0) -> Rows:
    """The rows minus the mean of other rows, divided by their standard deviation.

    Squares are divided by the number of rows less ``freedom``. Infinite or NaN for a constant column.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Rows = (rows - by.mean(0)) / by.std(0, ddof=freedom)
    return result
