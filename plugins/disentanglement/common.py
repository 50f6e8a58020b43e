"""Common parts of disentanglement scores: splits, pairs that agree in one factor, gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo import DataError


class Alike:
    """Sampler of rows of a table with the same value of one factor.

    >>> alike = Alike(np.array([5, 7, 5, 5]))
    >>> sorted(set(alike.draw(np.array([0] * 50), np.random.default_rng(0)).tolist()))
    [0, 2, 3]
    """

    def __init__(self, values: NDArray[np.int64]) -> None:
        _, self._value, self._count = np.unique(values, return_inverse=True, return_counts=True)
        self._order = np.argsort(values, kind="stable")
        self._first = np.cumsum(self._count) - self._count

    def draw(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """For each of ``rows`` (of any shape) a row with the same value, drawn uniformly, possibly the same one."""
        value = self._value[rows]
        drawn: NDArray[np.int64] = self._order[self._first[value] + rng.integers(self._count[value])]
        return drawn


Codes = NDArray[np.float64]
"""``[N, L]``: a code of ``L`` numbers for each example."""
Factors = NDArray[np.int64]
"""``[N, F]``: the ground-truth factors of each example, as numbers from zero."""


@dataclass(frozen=True)
class Score:
    """Score, the largest possible score, and its parts by factor: ``[F]``, nan for factors without one.

    ``most`` ``[F]`` is the largest possible value of each part, if that is not the same for all.
    """

    value: float
    maximum: float
    per_factor: NDArray[np.float64]
    most: NDArray[np.float64] | None = None


class Split(NamedTuple):
    """Rows to fit on, and rows to test on; ``kept`` are the factors that vary in the first."""

    codes: Codes
    factors: Factors
    test_codes: Codes
    test_factors: Factors
    kept: NDArray[np.int64]


def varying(factors: Factors, least: int = 1) -> NDArray[np.int64]:
    """The factors that take more than one value; `zoo.DataError` if they are fewer than ``least``."""
    kept = np.flatnonzero((factors != factors[:1]).any(axis=0))
    if len(kept) < least:
        raise DataError(f"the score needs {least} factors that vary, but only {len(kept)} of {factors.shape[1]} do")
    return kept


def split(codes: Codes, factors: Factors, rng: np.random.Generator, least: int = 1) -> Split:
    """A random two thirds of the rows, and the rest."""
    order = rng.permutation(len(codes))
    first, rest = np.split(order, [2 * len(codes) // 3])
    return Split(codes[first], factors[first], codes[rest], factors[rest], varying(factors[first], least))


def by_factor(values: NDArray[np.float64], kept: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Values of some factors, with the indices ``kept``, among all ``count`` of them, nan elsewhere."""
    spread = np.full(count, np.nan)
    spread[kept] = values
    return spread


def weighted(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The mean with weights; nan where all of these are zero."""
    return float(values @ weights / weights.sum()) if weights.any() else float("nan")


def gaps(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """``[L, F] -> [F]``: the gap between the best and the second best code of each factor; a single code's own value.

    >>> gaps(np.array([[0.5, 0.1], [0.2, 0.1], [0.4, 0.9]])).round(6).tolist()
    [0.1, 0.8]
    """
    padded = np.concatenate((matrix, np.zeros((1, matrix.shape[1])))) if len(matrix) == 1 else matrix
    ordered = np.sort(padded, axis=0)
    found: NDArray[np.float64] = ordered[-1] - ordered[-2]
    return found
