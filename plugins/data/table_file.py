"""Files with rows of numbers."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo import DataError

Rows = NDArray[np.float32]


class TableFile(ABC):
    """A file with rows of finite numbers, all of one length. Faults raise `zoo.DataError` with their place."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def columns(self) -> Sequence[str]:
        """The names of the columns, from the file's header; their numbers where they have no names."""

    @abstractmethod
    def rows(self) -> Rows:
        """All rows: ``[N, D]``."""


class CsvFile(TableFile):
    """Comma-separated numbers, with a first line of names or without."""

    def __init__(self, path: Path, header: bool) -> None:
        super().__init__(path)
        self.header = header

    def columns(self) -> Sequence[str]:
        _, first = next(self._lines(), (1, []))
        if not first:
            raise DataError(f"{self.path} is empty")
        if self.header and all(_finite(cell) for cell in first):
            raise DataError(f"{self.path}:1 is numbers, not names; if there are no names say 'header: false'")
        return [cell.strip() for cell in first] if self.header else [str(index) for index in range(len(first))]

    def rows(self) -> Rows:
        width = len(self.columns())
        if not any(True for _ in islice(self._lines(), int(self.header), None)):
            raise DataError(f"{self.path} has no rows")
        try:
            rows = np.loadtxt(
                self.path,
                np.float32,
                comments=None,
                delimiter=",",
                skiprows=self._names_end(),
                ndmin=2,
                encoding="utf-8-sig",
                quotechar='"',
            )
        except (ValueError, UnicodeDecodeError) as error:
            raise self._fault(width, str(error)) from error
        if rows.shape[1] != width or not np.isfinite(rows).all():
            raise self._fault(width, "not all numbers are finite in float32")
        return rows

    def _names_end(self) -> int:
        """How many lines the names take, with any empty ones before them."""
        return next(self._lines())[0] if self.header else 0

    def _fault(self, width: int, reason: str) -> DataError:
        """What is wrong and where: numpy's fast reading does not count a file's lines."""
        for line, cells in islice(self._lines(), int(self.header), None):
            if len(cells) != width:
                return DataError(f"{self.path}:{line} has {len(cells)} columns, not {width}")
            for column, cell in zip(self.columns(), cells, strict=True):
                if not _finite(cell):
                    return DataError(f"{self.path}:{line} column '{column}' is no finite number: '{cell.strip()}'")
        return DataError(f"{self.path}: {reason}")

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """The lines that are not empty, with their numbers, counted from one."""
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            try:
                for cells in reader:
                    if cells:
                        yield reader.line_num, cells
            except (UnicodeDecodeError, csv.Error) as error:
                raise DataError(f"{self.path}:{reader.line_num + 1} is no line of text: {error}") from error


class NpyFile(TableFile):
    """A numpy array ``[N, D]``."""

    def columns(self) -> Sequence[str]:
        return [str(index) for index in range(self._mapped().shape[1])]

    def rows(self) -> Rows:
        with np.errstate(over="ignore"):
            rows = self._mapped().astype(np.float32)
        faults = np.argwhere(~np.isfinite(rows))
        if len(faults):
            row, column = faults[0]
            raise DataError(f"{self.path}: row {row}, column {column} is no finite number: {rows[row, column]}")
        if not len(rows):
            raise DataError(f"{self.path} has no rows")
        return rows

    def _mapped(self) -> NDArray[np.generic]:
        """The array, of which only the header is read yet."""
        try:
            array: NDArray[np.generic] = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise DataError(f"{self.path} is no array of numbers: {error}") from error
        if not isinstance(array, np.ndarray):
            raise DataError(f"{self.path} is an archive of arrays, expected one array as numpy.save writes it")
        if array.ndim != 2 or array.shape[1] < 1 or array.dtype.kind not in "fiub":
            raise DataError(f"{self.path} is {array.dtype} {list(array.shape)}, not numbers [N, D]")
        return array


def table_file(path: Path, header: bool) -> TableFile:
    """The reader of a file by its ending; `zoo.DataError` for an unknown one."""
    match path.suffix.lower():
        case ".csv":
            return CsvFile(path, header)
        case ".npy":
            return NpyFile(path)
    raise DataError(f"{path} is no table: its name should end in .csv or .npy")


def _finite(cell: str) -> bool:
    try:
        return abs(float(cell)) <= float(np.finfo(np.float32).max)
    except ValueError:
        return False
