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
    them; ``header`` says whether a csv file's first line names them. Columns named in ``features`` are not modelled but
    given: they are the batch's ``features``, float32 ``[B, N]``, and without ``columns`` the others are the row.
    ``train`` and ``test`` are paths, relative to the working directory or to ``$ZOO_DATA``. Without ``test`` the fixed
    fraction ``test_fraction`` (0.1) of ``train`` is held out.

    The number of columns that are modelled comes from ``dims`` or ``columns`` where given: then nothing is read before
    the data is needed. Otherwise it comes from the head of the file.

    Raises ValueError where the parameters contradict each other, and `zoo.DataError` for missing files, unknown
    columns, rows of different length and what is no finite number, with file and line.

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
        columns: Annotated[Sequence[str | int], Field(min_length=1)] | None = None,
        features: Annotated[Sequence[str | int], Field(min_length=1)] | None = None,
        dims: PositiveInt | None = None,
    ) -> None:
        if columns is not None and dims not in (None, len(columns)):
            raise ValueError(f"'dims' is {dims}, but 'columns' chooses {len(columns)}")
        both = [column for column in features or () if column in (columns or ())]
        if both:
            raise ValueError(f"the column {both[0]!r} cannot be modelled and given: it is in 'columns' and 'features'")
        self.train, self.test = train, test
        self.test_fraction = fraction_of(test, test_fraction)
        self.header = header
        self.columns, self.features = columns, features
        self.dims = dims

    @property
    def event(self) -> Event:
        features = None if self.features is None else len(self.features)
        return Event("row", Shape(self._width()), features=features)

    def split(self, name: Literal["train", "test"]) -> Examples:
        if self.test is None:
            batch = self._batch(self.train)
            held = hold_out(len(batch["row"]), self.test_fraction, name)
            batch = {key: rows[held] for key, rows in batch.items()}
        else:
            batch = self._batch(self.train if name == "train" else self.test)
        return InMemory({key: torch.from_numpy(rows) for key, rows in batch.items()})

    def _batch(self, path: str) -> dict[str, Rows]:
        file = self._file(path)
        rows = file.rows()
        modelled, given = self._modelled(file), self._given(file)
        if len(modelled) != self._width():
            beside = " beside its features" if given else ""
            raise DataError(f"{file.path} has {len(modelled)} columns{beside}, not {self._width()}")
        if self.columns is None and list(file.columns()) != list(self._file(self.train).columns()):
            raise DataError(f"the columns of {file.path} are not those of '{self.train}'")
        return {"row": rows[:, modelled]} | ({"features": rows[:, given]} if given else {})

    def _width(self) -> int:
        """How many columns are modelled."""
        if self.columns is not None:
            return len(self.columns)
        return self.dims or len(self._modelled(self._file(self.train)))

    def _modelled(self, file: TableFile) -> list[int]:
        given = self._given(file)
        if self.columns is None:
            modelled = [number for number in range(len(file.columns())) if number not in given]
        else:
            modelled = [_position(column, file) for column in self.columns]
        # The same column may be named here and numbered there.
        both = set(modelled).intersection(given)
        if both:
            raise DataError(f"{file.path}: 'columns' and 'features' both choose '{file.columns()[min(both)]}'")
        if not modelled:
            raise DataError(f"{file.path} has no column beside its features to model")
        return modelled

    def _given(self, file: TableFile) -> list[int]:
        return [_position(column, file) for column in self.features or ()]

    def _file(self, path: str) -> TableFile:
        return table_file(locate(path), self.header)


def _position(column: str | int, file: TableFile) -> int:
    names = list(file.columns())
    if isinstance(column, int) and 0 <= column < len(names):
        return column
    if isinstance(column, str) and column in names:
        return names.index(column)
    raise DataError(f"{file.path} has no column {column!r}: it has {', '.join(names[:12])}")
