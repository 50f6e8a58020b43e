"""Rows of numbers in files: the one reader of csv and npy."""

from __future__ import annotations

import csv
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, listed, nearest

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What can stand between the numbers of a csv file, the likeliest first."""
SNIFFED = 32
"""Lines that a delimiter is found by."""
LONGEST_NAME = 200
LARGEST = float(np.finfo(np.float32).max)
"""Models compute in float32."""

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_COMMA = re.compile(r"\s*[+-]?[\d.]*,[\d.,]*\d\s*")
_NOT_FINITE = re.compile(r"\s*[+-]?(nan|na|n/a|null|inf|infinity)\s*", re.IGNORECASE)


class RowFile(ABC):
    """A file with rows of finite numbers, all of one length.

    Faults raise `zoo.DataError` with the file, the line and the column, and never what the file has there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    @abstractmethod
    def named(self) -> bool:
        """Whether the columns have names."""

    @property
    @abstractmethod
    def columns(self) -> Sequence[str]:
        """The names of the columns from the file's header, or their numbers, from zero."""

    @property
    @abstractmethod
    def form(self) -> str:
        """The format of the file, in a word or two."""

    @abstractmethod
    def rows(self) -> NDArray[np.float64]:
        """All rows: ``[N, D]``."""

    @final
    def positions(self, columns: Sequence[str | int] | None = None) -> list[int]:
        """The positions of these columns, by name or number, or of all.

        Each must be there, be the only one of its name, and be chosen once; of all columns each must have a name of its
        own where there are names.
        """
        chosen = range(len(self.columns)) if columns is None else [self._position(column) for column in columns]
        names = [self.columns[number] for number in chosen]
        twice = [number for number, times in Counter(chosen).items() if times > 1]
        if twice:
            raise DataError(f"{self.path}: {self.title(twice[0])} is chosen twice")
        if columns is None and self.named:
            for number, name in zip(chosen, names, strict=True):
                if name == "" or name.startswith("Unnamed: "):
                    raise DataError(
                        f"{self.path}: column {number} has no name, like an index saved with the table: save without "
                        "it (pandas: index=False), or choose the columns to model with 'columns'"
                    )
                self._only(name)
        return list(chosen)

    @final
    def title(self, number: int) -> str:
        """A column as a message calls it."""
        return f"column {number} '{self.columns[number]}'" if self.named else f"column {number}"

    def _position(self, column: str | int) -> int:
        if isinstance(column, int) and 0 <= column < len(self.columns):
            return column
        if isinstance(column, str) and column in self.columns:
            return self._only(column)
        if self.named and isinstance(column, str):
            hint = nearest(column, self.columns)
        else:
            numbered = "are" if self.named else "have no names, and are"
            hint = f": its columns {numbered} numbered 0 to {len(self.columns) - 1}"
        raise DataError(f"{self.path} has no column {column!r}{hint}")

    def _only(self, name: str) -> int:
        """The number of the one column of this name."""
        found = [str(number) for number, other in enumerate(self.columns) if other == name]
        if len(found) > 1:
            raise DataError(
                f"{self.path}: columns {listed(found)} are all named '{name}': rename them, or choose columns by number"
            )
        return int(found[0])


class CsvFile(RowFile):
    """Numbers with a delimiter between them, with a first line of names or without.

    Where they are not given, the delimiter is what the first lines agree on, and there is a header where the first line
    has no number.
    """

    def __init__(self, path: Path, header: bool | None = None, delimiter: str | None = None) -> None:
        super().__init__(path)
        self._header, self._delimiter = header, delimiter

    @cached_property
    def delimiter(self) -> str:
        """The delimiter of the numbers."""
        return self._delimiter or _delimiter([line for _, line in islice(self._text(), SNIFFED)])

    @property
    def form(self) -> str:
        names = "names" if self.named else "no names"
        return f"csv, {DELIMITERS.get(self.delimiter, 'blanks')}, {names} in the first line"

    @cached_property
    def named(self) -> bool:
        if self._header is not None:
            return self._header
        return not any(_is_number(cell) or _NOT_FINITE.fullmatch(cell) for cell in self._first[1])

    @cached_property
    def columns(self) -> Sequence[str]:
        line, cells = self._first
        if not self.named:
            return [str(number) for number in range(len(cells))]
        if all(map(_is_number, cells)):
            raise DataError(
                f"{self.path}:{line} has numbers where column names were expected; without a header, "
                "set 'header: false'"
            )
        names = [cell.strip() for cell in cells]
        for number, name in enumerate(names):
            if not name.isprintable() or len(name) > LONGEST_NAME:
                raise DataError(
                    f"{self.path}:{line} column {number}: a column name must be at most {LONGEST_NAME} printable "
                    "characters"
                )
        return names

    def rows(self) -> NDArray[np.float64]:
        width = len(self.columns)
        if not any(True for _ in islice(self._lines(), int(self.named), None)):
            raise DataError(f"{self.path} has no rows")
        try:
            rows = np.loadtxt(
                self.path,
                np.float64,
                comments=None,
                delimiter=self.delimiter,
                skiprows=self._first[0] if self.named else 0,
                ndmin=2,
                encoding="utf-8-sig",
                quotechar='"',
            )
        except (ValueError, OSError):
            raise self._fault(width) from None
        if rows.shape[1] != width or not _fits(rows).all():
            raise self._fault(width)
        return rows

    def _fault(self, width: int) -> DataError:
        """The message of the first error with its line, which numpy's fast reader does not report."""
        for line, cells in islice(self._lines(), int(self.named), None):
            if len(cells) != width:
                return DataError(f"{self.path}:{line} has {len(cells)} columns, expected {width}")
            for number, cell in enumerate(cells):
                if not _is_number(cell) or not _fits(np.float64(cell)):
                    return DataError(f"{self.path}:{line} {self.title(number)} {_wrong(cell)}")
        return DataError(f"{self.path} cannot be read as rows of numbers; save it as plain csv")

    @cached_property
    def _first(self) -> tuple[int, list[str]]:
        """The first line that is not empty, and its number."""
        found = next(self._lines(), None)
        if found is None:
            raise DataError(f"{self.path} is empty")
        return found

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """The cells of the lines that are not empty, with the lines' numbers, counted from one."""
        number = 0

        def text() -> Iterator[str]:
            nonlocal number
            for number, line in self._text():  # noqa: B007
                yield line

        try:
            yield from ((number, cells) for cells in csv.reader(text(), delimiter=self.delimiter) if cells)
        except csv.Error as error:
            raise DataError(f"{self.path}:{number} cannot be parsed: {error}") from None

    def _text(self) -> Iterator[tuple[int, str]]:
        try:
            with self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
                for number, line in enumerate(file, 1):
                    if not line.isascii() and re.search("[\ud800-\udfff]", line):
                        raise DataError(f"{self.path}:{number} is not UTF-8 text")
                    yield number, line
        except OSError as error:
            raise DataError(f"{self.path} cannot be read ({error.strerror})") from None


class NpyFile(RowFile):
    """A numpy array ``[N, D]``."""

    named, form = False, "npy"

    @cached_property
    def columns(self) -> Sequence[str]:
        return [str(number) for number in range(self._mapped().shape[1])]

    def rows(self) -> NDArray[np.float64]:
        with np.errstate(over="ignore"):
            rows = self._mapped().astype(np.float64)
        faults = np.argwhere(~_fits(rows))
        if len(faults):
            row, column = faults[0]
            raise DataError(f"{self.path}: row {row}, column {column} {_wrong(str(rows[row, column]))}")
        return rows

    def _mapped(self) -> NDArray[np.generic]:
        """The array, of which only the header is read yet."""
        try:
            array: Any = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except OSError as error:
            reason = error.strerror or "its header is damaged"
            raise DataError(f"{self.path} cannot be read as an array of numbers ({reason})") from None
        except (ValueError, EOFError, OverflowError, SyntaxError, BadZipFile) as error:
            raise DataError(f"{self.path} is not an array of numbers: {error}") from None
        if not isinstance(array, np.ndarray):
            raise DataError(f"{self.path} is an archive of several arrays, expected one array: save it as .npy")
        if array.ndim != 2 or array.shape[1] < 1 or array.dtype.kind not in "fiub":
            raise DataError(f"{self.path} is {array.dtype} {list(array.shape)}, expected real numbers [N, D]")
        if not len(array):
            raise DataError(f"{self.path} has no rows")
        return array


def row_file(path: Path, header: bool | None = None, delimiter: str | None = None) -> RowFile:
    """The reader of a file by its ending, .csv or .npy; `zoo.DataError` for another.

    A csv file has a ``header``, a first line of names, or has none, and a ``delimiter`` between its numbers; both are
    found out where they are not given.
    """
    match path.suffix.lower():
        case ".csv" | ".tsv":
            return CsvFile(path, header, delimiter)
        case ".npy":
            return NpyFile(path)
    raise DataError(f"{path} is not a table: expected a name ending in .csv, .tsv or .npy")


def _delimiter(lines: Sequence[str]) -> str:
    """The delimiter of lines: the one that gives equally many cells in all, most of them numbers."""

    def fit(delimiter: str) -> tuple[bool, float, int]:
        try:
            cells = [cells for cells in csv.reader(lines, delimiter=delimiter) if cells]
        except csv.Error:
            return False, 0.0, 0
        widths = {len(each) for each in cells}
        agree = len(widths) == 1 and widths != {1}
        numbers = sum(_is_number(cell) or bool(_COMMA.fullmatch(cell)) for each in cells for cell in each)
        return agree, numbers / max(1, sum(map(len, cells))) if agree else 0.0, max(widths, default=0)

    return max(DELIMITERS, key=fit)  # the first of those that fit alike


def _is_number(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell))


def _fits(rows: Any) -> Any:
    """Whether numbers are finite, also in float32."""
    return np.abs(rows) <= LARGEST


def _wrong(cell: str) -> str:
    """The message about a wrong cell, without its content."""
    if not cell.strip():
        return "is empty: fill it in, or leave out the row"
    if _COMMA.fullmatch(cell):
        return "has a comma in a number: use decimal points, and no thousands separators"
    if _is_number(cell):
        return f"is beyond {LARGEST:.2g}: rescale it"
    return "is not a finite number" if _NOT_FINITE.fullmatch(cell) else "is not a number"
