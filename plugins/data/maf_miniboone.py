"""MINIBOONE of the MAF paper."""

from __future__ import annotations

from typing import final

import numpy as np

from .maf_file import ARCHIVE, MafFile
from .maf_set import MafSet, Parts, last_tenth, standardised


@final
class Miniboone(MafSet):
    """Particle identification in a neutrino experiment, cleaned in the archive already.

    Split in order, standardised by train and validation.

    References: Roe et al., Boosted decision trees as an alternative to artificial neural networks for particle
    identification, 2005, arXiv:physics/0408124.
    """

    dims = 43
    files = (MafFile("miniboone/data.npy", f"taken as it is from {ARCHIVE}"),)

    def parts(self, root: str) -> Parts:
        train, test = last_tenth(np.asarray(self.files[0].array(root, self.dims), np.float64))
        return Parts(standardised(train, train), standardised(test, train))
