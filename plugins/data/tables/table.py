"""Table of numbers from a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from zoo import DataError, Dataset, Event, Examples, RowFile, Shape, component, row_file

from ..locate import locate
from ..split import fraction_of, hold_out
from .rows import TableRows

Columns = Annotated[Sequence[str | int], Field(min_length=1)]
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "space": " "}


@component("table", example={"train": "rows.csv", "dims": 2}, added={"delimiter": None})
class Table(Dataset):
    """Table of real numbers from a ``.csv``, ``.tsv`` or ``.npy`` file.

    A batch has ``row``, ``[B, D]``, the columns to model, and possibly ``features``, float32 ``[B, N]``, the columns to
    condition on.

    Rows are float32, or float64 if the rounding error of float32 would exceed 1e-4 of a column's standard deviation, as
    for unix times. A flow that begins with ``standardize`` subtracts the mean before it rounds.

    The number of modelled columns is that of ``dims`` or ``columns`` if given: the file is then not read before the
    data is needed. Otherwise it is read from the start of the file, with the columns' names.

    Training starts with warnings about columns that are constant, have few values, depend on each other, are ids or
    unix times, have far outliers or lose precision, and about repeated rows.

    Raises ValueError if the parameters contradict each other, and `zoo.DataError` for missing files, unknown or
    ambiguous columns, rows of different length and values that are not finite numbers, with file and line.

    Args:
        train: The path of the training rows, relative to the working directory or to ``$ZOO_DATA``.
        test: The path of the test rows, likewise; ``null`` holds out a fraction of ``train``.
        test_fraction: The fraction of ``train`` that is held out; ``null`` for 0.1.
        header: Whether the first line of a csv file has the columns' names.
        delimiter: The delimiter of a csv file; ``null`` detects it from the first lines.
        columns: The columns to model, by name or number (from zero); ``null`` for all but the features.
        features: The columns to condition on, by name or number, which are not modelled; ``null`` for none.
        dims: The number of modelled columns, so that the file need not be read to know it.

    >>> Table(train="rows.csv", columns=["height", "weight"]).event.shape
    Shape(2)
    >>> Table(train="rows.csv", columns=["weight"], features=["height", "age"]).event.features
    2
    """

    places = ("train", "test")

    def __init__(
        self,
        *,
        train: str,
        test: str | None = None,
        test_fraction: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None,
        header: bool = True,
        delimiter: Literal["comma", "semicolon", "tab", "bar", "space"] | None = None,
        columns: Columns | None = None,
        features: Columns | None = None,
        dims: PositiveInt | None = None,
    ) -> None:
        if columns is not None and dims not in (None, len(columns)):
            raise ValueError(f"'dims' is {dims}, but 'columns' chooses {len(columns)}")
        for name, chosen in (("columns", columns), ("features", features)):
            twice = [column for number, column in enumerate(chosen or ()) if column in (chosen or ())[:number]]
            if twice:
                raise ValueError(f"'{name}' has {twice[0]!r} twice")
        both = [column for column in features or () if column in (columns or ())]
        if both:
            raise ValueError(f"the column {both[0]!r} is in 'columns' and in 'features': choose one")
        self.train, self.test = train, test
        self.test_fraction = fraction_of(test, test_fraction)
        self.header = header
        self.delimiter = None if delimiter is None else DELIMITERS[delimiter]
        self.columns, self.features = columns, features
        self.dims = dims

    @property
    def event(self) -> Event:
        features = None if self.features is None else len(self.features)
        return Event("row", Shape(self._width()), features=features, columns=self._named())

    def split(self, name: Literal["train", "test"]) -> Examples:
        file = self._file(self.train if name == "train" or self.test is None else self.test)
        modelled, given = self._chosen(file)
        rows = file.rows()
        if self.test is None:
            rows = rows[hold_out(len(rows), self.test_fraction, name)]
        # What is held out of a file is as odd as the rest of it: one warning is enough.
        looked_at = rows[:0] if self.test is None and name == "test" else rows
        return TableRows(file, rows, modelled, given, looked_at)

    def _width(self) -> int:
        """The number of modelled columns."""
        if self.columns is not None:
            return len(self.columns)
        return self.dims or len(self._positions(self._file(self.train))[0])

    def _named(self) -> tuple[str, ...] | None:
        """The names of the modelled columns, if they are declared or the file is read anyway."""
        if self.columns is not None:
            names = tuple(column for column in self.columns if isinstance(column, str))
            return names if self.header and len(names) == len(self.columns) else None
        file = None if self.dims else self._file(self.train)
        return tuple(file.columns[at] for at in self._positions(file)[0]) if file and file.named else None

    def _chosen(self, file: RowFile) -> tuple[list[int], list[int]]:
        """The columns of a file that are modelled and those that are conditioned on: the same as of ``train``."""
        modelled, given = self._positions(file)
        if len(modelled) != self._width():
            apart = " besides its features" if given else ""
            raise DataError(f"{file.path} has {len(modelled)} columns{apart}, expected {self._width()}")
        first = self._file(self.train)
        if self._names(file) != self._names(first):
            raise DataError(f"the columns of {file.path} must be those of '{self.train}', in the same order")
        return modelled, given

    def _names(self, file: RowFile) -> list[str]:
        modelled, given = self._positions(file)
        return [file.columns[number] for number in (*modelled, *given)]

    def _positions(self, file: RowFile) -> tuple[list[int], list[int]]:
        given = [] if self.features is None else file.positions(self.features)
        modelled = file.positions(self.columns)
        # The same column may be named here and numbered there.
        both = set(modelled).intersection(given)
        if both and self.columns is not None:
            raise DataError(f"{file.path}: 'columns' and 'features' both choose {file.title(min(both))}")
        modelled = [number for number in modelled if number not in given]
        if not modelled:
            raise DataError(f"{file.path} has no column besides its features to model")
        return modelled, given

    def _file(self, path: str) -> RowFile:
        return row_file(locate(path), self.header, self.delimiter)
