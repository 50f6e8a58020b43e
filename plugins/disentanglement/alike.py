"""Draws of rows that agree in one factor: what an intervention on a data set's generator would give."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Alike:
    """The rows of a table, found by their value of one factor.

    >>> alike = Alike(np.array([5, 7, 5, 5]))
    >>> sorted(set(alike.draw(np.array([0] * 50), np.random.default_rng(0)).tolist()))
    [0, 2, 3]
    """

    def __init__(self, values: NDArray[np.int64]) -> None:
        _, self._value, self._count = np.unique(values, return_inverse=True, return_counts=True)
        self._order = np.argsort(values, kind="stable")
        self._first = np.cumsum(self._count) - self._count

    def draw(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """For each of ``rows`` (of any shape) another with the same value, drawn uniformly, itself among them."""
        value = self._value[rows]
        drawn: NDArray[np.int64] = self._order[self._first[value] + rng.integers(self._count[value])]
        return drawn
