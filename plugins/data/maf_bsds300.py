"""BSDS300 of the MAF paper."""

from __future__ import annotations

from typing import final

import numpy as np

from .maf_file import ARCHIVE, MafFile
from .maf_set import MafSet, Parts

MAKE = (
    'made beside BSDS300.hdf5 of {archive}, by: python -c "import h5py, numpy; '
    "f = h5py.File('BSDS300.hdf5'); [numpy.save(part + '.npy', f[part]) for part in ('train', 'validation', 'test')]\""
)


@final
class BSDS300(MafSet):
    """Grey patches of 8x8 of natural images, without their mean and one pixel, as the archive has them.

    References: Martin et al., A database of human segmented natural images, ICCV 2001; Zoran and Weiss, From learning
    models of natural image patches to whole image restoration, ICCV 2011.
    """

    dims = 63
    files = tuple(
        MafFile(f"BSDS300/{part}.npy", MAKE.format(archive=ARCHIVE)) for part in ("train", "validation", "test")
    )

    def parts(self, root: str) -> Parts:
        train, validation, test = (file.array(root, self.dims) for file in self.files)
        return Parts(np.concatenate((train, validation)), test)
