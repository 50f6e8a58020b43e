"""One's own rows of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt

from zoo import DataError, Dataset, Event, Examples, InMemory, Shape, component

from .holdout import fraction_of, hold_out
from .places import locate
from .table_file import Rows, TableFile, table_file


@component("table", example={"train": "rows.csv", "dims": 2})
class Table(Dataset):
    """Rows of real numbers from a ``.csv`` or ``.npy`` file.

    A batch has ``row``, float32 ``[B, D]``: the ``columns`` that are chosen, by name or number (from zero), else all of
    them; ``header`` says whether a csv file's first line names them. Paths are relative to the working directory or to
    ``$ZOO_DATA``. Without ``test`` the fixed fraction ``test_fraction`` (0.1) is held out.

    The number of columns comes from ``dims`` or ``columns`` where given: then nothing is read before the data is
    needed. Otherwise it comes from the head of the file.

    Raises ValueError where the parameters contradict each other, and `zoo.DataError` for missing files, unknown
    columns, rows of different length and what is no finite number, with file and line.

    >>> Table(train="rows.csv", columns=["height", "weight"]).event.shape
    Shape(2)
    """

    def __init__(
        self,
        *,
        train: str,
        test: str | None = None,
        test_fraction: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None,
        header: bool = True,
        columns: Annotated[Sequence[str | int], Field(min_length=1)] | None = None,
        dims: PositiveInt | None = None,
    ) -> None:
        if columns is not None and dims not in (None, len(columns)):
            raise ValueError(f"'dims' is {dims}, but 'columns' chooses {len(columns)}")
        self.train, self.test = train, test
        self.test_fraction = fraction_of(test, test_fraction)
        self.header = header
        self.columns = columns
        self.dims = dims

    @property
    def event(self) -> Event:
        if self.columns is not None:
            return Event("row", Shape(len(self.columns)))
        return Event("row", Shape(self.dims or len(self._file(self.train).columns())))

    def split(self, name: Literal["train", "test"]) -> Examples:
        if self.test is None:
            rows = self._rows(self.train)
            rows = rows[hold_out(len(rows), self.test_fraction, name)]
        else:
            rows = self._rows(self.train if name == "train" else self.test)
        return InMemory({"row": torch.from_numpy(rows)})

    def _rows(self, path: str) -> Rows:
        file = self._file(path)
        rows = file.rows()
        if self.columns is not None:
            return rows[:, [_position(column, file) for column in self.columns]]
        if rows.shape[1] != self.event.shape.size:
            raise DataError(f"{file.path} has {rows.shape[1]} columns, not {self.event.shape.size}")
        if path == self.test and list(file.columns()) != list(self._file(self.train).columns()):
            raise DataError(f"the columns of {file.path} are not those of '{self.train}'")
        return rows

    def _file(self, path: str) -> TableFile:
        return table_file(locate(path), self.header)


def _position(column: str | int, file: TableFile) -> int:
    names = list(file.columns())
    if isinstance(column, int) and 0 <= column < len(names):
        return column
    if isinstance(column, str) and column in names:
        return names.index(column)
    raise DataError(f"{file.path} has no column {column!r}: it has {', '.join(names[:12])}")
