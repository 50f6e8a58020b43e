"""Discrete information: histograms of codes, and their mutual information with factors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .common import Codes, Factors


def binned(values: NDArray[Any], bins: int) -> NDArray[np.int64]:
    """Each column in ``bins`` intervals of equal width between its smallest and largest value: ``[N, L]``, from zero.

    >>> binned(np.array([[0.0], [0.9], [1.1], [4.0]]), 4).ravel().tolist()
    [0, 0, 1, 3]
    """
    found = np.empty(values.shape, dtype=np.int64)
    for column in range(values.shape[1]):
        edges = np.histogram_bin_edges(values[:, column], bins)
        found[:, column] = np.digitize(values[:, column], edges[1:-1])
    return found


def mutual_information(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """The empirical mutual information of two rows of integers, in nats.

    >>> row = np.array([0, 1, 2, 3])
    >>> round(mutual_information(row, row), 6), mutual_information(row // 2, row % 2)
    (1.386294, 0.0)
    """
    a, b = (np.unique(row, return_inverse=True)[1] for row in (first, second))
    count = int(b.max()) + 1
    joint = np.bincount(a * count + b, minlength=(int(a.max()) + 1) * count).reshape(-1, count) / len(a)
    independent = joint.sum(1, keepdims=True) * joint.sum(0)
    seen = joint > 0.0
    return float((joint[seen] * np.log(joint[seen] / independent[seen])).sum())


def entropy(row: NDArray[np.int64]) -> float:
    """The empirical entropy of a row of integers, in nats."""
    return mutual_information(row, row)


def information_matrix(codes: Codes, factors: Factors, bins: int) -> NDArray[np.float64]:
    """The mutual information of each binned code with each factor: ``[L, F]``, in nats."""
    digits = binned(codes, bins)
    return np.array([[mutual_information(code, factor) for factor in factors.T] for code in digits.T])
