"""Rows of a table, and warnings about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from zoo import InMemory, RowFile

Rows = NDArray[np.float64]

LOOKED_AT = 100_000
"""The largest number of rows that are examined; of more, a random choice."""
SHOWN = 6
"""The largest number of columns whose range is shown."""
FEWEST = 20
"""The least number of rows that are examined."""
REPEATED = 0.2
"""The share of rows with a number that another row has too, from which on there is a warning."""
FAR = 50.0
"""The deviation from the median, in units of the median deviation, beyond which a number is an outlier."""
ROUNDED = 1e-4
"""The largest acceptable rounding error, in standard deviations."""
EXACT = 2.0**53
DEPENDENT = 1e-10
SECONDS = (8.0e8, 2.2e9)
"""From 1995 to 2039 in seconds since 1970."""
UNITS = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}


class TableRows(InMemory):
    """Rows in memory, ``row`` and possibly ``features``, with their file; ``looked_at`` are examined for warnings."""

    def __init__(
        self, file: RowFile, rows: Rows, modelled: Sequence[int], given: Sequence[int], looked_at: Rows
    ) -> None:
        row = rows[:, modelled]
        kept = row if (rounding(row) > ROUNDED).any() else row.astype(np.float32)
        features = {"features": torch.from_numpy(rows[:, given].astype(np.float32))} if given else {}
        super().__init__({"row": torch.from_numpy(kept), **features})
        self._file, self._modelled, self._given = file, modelled, given
        some = np.random.default_rng(0).permutation(len(looked_at))[:LOOKED_AT]
        self._looked_at = looked_at[some]

    def summary(self) -> str:
        numbers = torch.cat(list(self.tensors.values()), 1)
        bounds = zip((*self._modelled, *self._given), numbers.amin(0).tolist(), numbers.amax(0).tolist(), strict=True)
        ranges = [f"{self._file.title(number)} {low:.6g} to {high:.6g}" for number, low, high in bounds]
        more = f" and {len(ranges) - SHOWN} more" if len(ranges) > SHOWN else ""
        columns = f"{len(ranges)} column" + "s" * (len(ranges) > 1)
        return f"{len(self):,} rows of {columns} ({self._file.form}): {', '.join(ranges[:SHOWN])}{more}"

    def survey(self) -> Iterator[str]:
        rows = self._looked_at
        if len(rows) < FEWEST:
            return
        for number in (*self._modelled, *self._given):
            for warning in odd_column(rows[:, number], number in self._modelled):
                yield f"{self._file.path}: {self._file.title(number)} {warning}"
        dependent = [self._file.title(self._modelled[at]) for at in dependent_columns(rows[:, self._modelled])]
        if dependent:
            yield (
                f"{self._file.path}: {', '.join(dependent)}: each is a linear function of the others, so that a "
                "density has no bound: leave one out with 'columns'"
            )
        share = repeated_rows(rows[:, self._modelled])
        if share > 0.01:
            yield (
                f"{self._file.path}: {share:.0%} of the rows repeat another, so test rows may repeat training rows: "
                "leave repeated rows out, or set 'test'"
            )


def odd_column(x: Rows, modelled: bool) -> Iterator[str]:
    """Warnings about a column, each with a remedy; about one that is only given, whether it is informative."""
    values, counts = np.unique(x, return_counts=True)
    if len(values) == 1:
        yield "has the same number in all rows" + (
            ", so that a density has no bound: leave it out with 'columns'" if modelled else " and is uninformative"
        )
        return
    if (rounding(x) > ROUNDED).any():
        apart = len(np.unique(x.astype(np.float32)))
        yield (
            f"has {len(values)} different numbers, of which float32 distinguishes {apart}: "
            + ("start the flow with 'standardize', which subtracts the mean in float64, or " if modelled else "")
            + "subtract an offset in the file"
        )
    if np.abs(x).max() >= EXACT:
        yield "has whole numbers beyond 2**53, which are rounded: leave it out, or subtract an offset in the file"
    if not modelled:
        return
    whole = (x == np.round(x)).all()
    if unit := time_unit(x):
        yield f"looks like a time in {unit} since 1970: subtract its start and divide by its length"
    elif whole and len(values) == len(x) and np.ptp(x) < 2 * len(x):
        yield "looks like a row number or an id: every row has a different whole number; leave it out with 'columns'"
    repeated = 1.0 - len(values) / len(x)
    if repeated > REPEATED:
        yield (
            f"has {len(values)} different numbers in {len(x)} rows, the most frequent in {counts.max() / len(x):.0%} "
            "of them: a density has no bound where numbers repeat; add noise as wide as their step, or leave it out"
        )
    far = outliers(x)
    if far:
        yield f"has {far} number(s) more than {FAR:.0f} deviations from the median: check them, or model the logarithm"


def rounding(x: Rows) -> Rows:
    """The largest rounding error of float32, in standard deviations of each column.

    >>> rounding(np.array([[1.6e9, 0.5], [1.6e9 + 60.0, 0.7]])).round(6).tolist()
    [2.0, 0.0]
    """
    off = np.abs(x - x.astype(np.float32)).max(0)
    spread = x.std(0)
    return np.asarray(np.divide(off, spread, out=np.zeros_like(spread), where=spread > 0.0))


def time_unit(x: Rows) -> str | None:
    """The unit in which numbers look like times of these decades; None if they do not.

    >>> time_unit(np.array([1.5e9, 1.6e9])), time_unit(np.array([1.5e12, 1.6e12])), time_unit(np.array([0.0, 1.6e9]))
    ('seconds', 'milliseconds', None)
    """
    low, high = x.min(), x.max()
    return next((unit for unit, per in UNITS.items() if SECONDS[0] * per <= low and high <= SECONDS[1] * per), None)


def outliers(x: Rows) -> int:
    """The number of values far from the median; 0 if more than half are the same."""
    off = np.abs(x - np.median(x))
    return int((off > FAR * 1.4826 * np.median(off)).sum()) if np.median(off) > 0.0 else 0


def dependent_columns(rows: Rows) -> list[int]:
    """Columns that are linear functions of others, apart from constant ones.

    >>> x = np.random.default_rng(0).standard_normal((50, 3))
    >>> dependent_columns(np.column_stack([x, x[:, 0] + 2.0 * x[:, 1]]))
    [0, 1, 3]
    """
    varied = np.flatnonzero(rows.std(0) > 0.0)
    if len(varied) < 2:
        return []
    values, vectors = np.linalg.eigh(np.corrcoef(rows[:, varied], rowvar=False))
    weights = np.abs(vectors[:, values < DEPENDENT]).max(1, initial=0.0)
    return [int(number) for number in varied[weights > 1e-3]]


def repeated_rows(rows: Rows) -> float:
    """The share of rows that repeat another; zero for a single column."""
    if rows.shape[1] == 1:
        return 0.0
    whole = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1])))
    return 1.0 - len(np.unique(whole)) / len(rows)
