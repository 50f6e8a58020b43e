"""GAS of the MAF paper."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import NDArray

from .maf_file import ARCHIVE, MafFile
from .maf_set import MafSet, Parts, Rows, last_tenth, standardised

MAKE = (
    'made beside ethylene_CO.pickle of {archive}, by: python -c "import numpy, pandas; '
    "data = pandas.read_pickle('ethylene_CO.pickle').drop(columns=['Meth', 'Eth', 'Time']); "
    "numpy.save('ethylene_CO.npy', data.to_numpy(float))\""
)


@final
class Gas(MafSet):
    """Sixteen chemical sensors in mixtures of ethylene and carbon monoxide, but for those that repeat another.

    The first sensor that is correlated by more than .98 with another goes, until there is none. Standardised by all
    rows, those of the test set too.

    References: Fonollosa et al., Reservoir computing compensates slow response of chemosensor arrays, Sensors and
    Actuators B 215, 2015.
    """

    dims = 8
    files = (MafFile("gas/ethylene_CO.npy", MAKE.format(archive=ARCHIVE)),)

    def parts(self, root: str) -> Parts:
        rows = np.asarray(self.files[0].array(root, 16), np.float64)
        rows = rows[:, unrepeated(rows)]
        return Parts(*last_tenth(standardised(rows, rows, freedom=1)))


def unrepeated(rows: Rows, limit: float = 0.98) -> NDArray[np.bool_]:
    """Which columns stay if the first that is correlated by more than a limit with another goes, until there is none.

    It goes whenever it is so with one after it: those before it are gone, or correlated with none.

    >>> x = np.arange(5.0)
    >>> unrepeated(np.stack((x, x**2, x % 2, x**2 + 1), axis=1)).tolist()
    [True, False, True, True]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        near = np.atleast_2d(np.corrcoef(rows, rowvar=False)) > limit
    return np.asarray(~np.triu(near, 1).any(axis=1))
