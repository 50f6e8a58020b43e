"""Fixed split of data that comes without a test set."""

from __future__ import annotations

from typing import Literal

import numpy as np

from zoo import DataError

DEFAULT_FRACTION = 0.1


def hold_out(n: int, fraction: float, name: Literal["train", "test"]) -> list[int]:
    """The numbers of a split's examples among ``n``: the last ``fraction`` of a fixed permutation are the test set.

    Each split has at least one example; raises `zoo.DataError` if there are fewer than two.

    >>> hold_out(5, 0.4, "train"), hold_out(5, 0.4, "test")
    ([2, 4, 3], [0, 1])
    """
    if n < 2:
        raise DataError(f"a test set cannot be held out of {n} example(s): set 'test'")
    held = min(n - 1, max(1, round(n * fraction)))
    order = np.random.default_rng(0).permutation(n)
    chosen: list[int] = (order[:-held] if name == "train" else order[-held:]).tolist()
    return chosen


def fraction_of(test: str | None, fraction: float | None) -> float:
    """The declared or the default fraction to hold out; ValueError if there is a test set as well."""
    if test is not None and fraction is not None:
        raise ValueError("'test' and 'test_fraction' cannot be combined: set one")
    return DEFAULT_FRACTION if fraction is None else fraction
