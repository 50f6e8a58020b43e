"""POWER of the MAF paper."""

from __future__ import annotations

from typing import final

import numpy as np

from .maf_file import ARCHIVE, MafFile
from .maf_set import MafSet, Parts, last_tenth, standardised

KEPT = (0, 2, 4, 5, 6, 7)
"""Global active power, voltage, three sub-meterings and the time of day, of eight columns."""


@final
class Power(MafSet):
    """Electric power consumption of a household: rounded readings, smoothed by uniform noise of a reading's step.

    Order and noise are drawn from ``RandomState(42)``; columns 1 and 3 go, reactive power and intensity; noise is up to
    .001 on active power, .01 on voltage, 1 on sub-meterings and none on the time. Standardised by train and validation.

    References: Hebrail and Berard, Individual household electric power consumption, UCI, 2012.
    """

    dims = 6
    files = (MafFile("power/data.npy", f"taken as it is from {ARCHIVE}"),)

    def parts(self, root: str) -> Parts:
        data = self.files[0].array(root, 8)
        rng, n = np.random.RandomState(42), len(data)
        # To shuffle the numbers of rows is what it is to shuffle the rows: the same draws, sooner done.
        rows = data[rng.permutation(n)][:, KEPT]
        # In this order the paper's code draws them.
        voltage, active, metering = 0.01 * rng.rand(n, 1), 0.001 * rng.rand(n, 1), rng.rand(n, 3)
        train, test = last_tenth(rows + np.hstack((active, voltage, metering, np.zeros((n, 1)))))
        return Parts(standardised(train, train), standardised(test, train))
