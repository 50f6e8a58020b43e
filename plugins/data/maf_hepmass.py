"""HEPMASS of the MAF paper."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import NDArray

from zoo import DataError

from .maf_file import ARCHIVE, MafFile
from .maf_set import MafSet, Parts, Rows, standardised

COLUMNS = 28
"""A label and 27 features; the test file has one column more, which is of no account."""


@final
class Hepmass(MafSet):
    """Particle collisions in which a new particle of mass 1000 decays: the rows whose label is one.

    Features whose smallest value occurs more than five times among the rows for training go: they are steps or have a
    floor. Standardised by train and validation, with n - 1.

    References: Baldi et al., Parameterized neural networks for high-energy physics, 2016, arXiv:1601.07913.
    """

    dims = 21
    files = (
        MafFile("hepmass/1000_train.csv", f"taken as it is from {ARCHIVE}"),
        MafFile("hepmass/1000_test.csv", f"taken as it is from {ARCHIVE}"),
    )

    def parts(self, root: str) -> Parts:
        train, test = (_signal(file, root) for file in self.files)
        train, test = standardised(train, train, freedom=1), standardised(test, train, freedom=1)
        continuous = lowest_is_rare(train)
        return Parts(train[:, continuous], test[:, continuous])


def _signal(file: MafFile, root: str) -> Rows:
    """The features of the rows whose label is one."""
    rows = file.table(root, COLUMNS)
    signal: Rows = rows[rows[:, 0] == 1, 1:]
    if not len(signal):
        raise DataError(f"{file.find(root)} has no row whose label, the first column, is 1. {file.hint}")
    return signal


def lowest_is_rare(rows: Rows, most: int = 5) -> NDArray[np.bool_]:
    """Which columns have their smallest value at most so many times.

    The paper's code calls this the count of the most frequent value; what it computes is that of the smallest.
    """
    rare: NDArray[np.bool_] = (rows == rows.min(0)).sum(0) <= most
    return rare
