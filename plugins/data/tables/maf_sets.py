"""Data sets POWER, GAS, HEPMASS, MINIBOONE and BSDS300."""

from __future__ import annotations

from typing import Literal, final

import numpy as np
import torch
from numpy.typing import NDArray

from zoo import DataError, Dataset, Event, Examples, InMemory, Shape, component

from .maf import ARCHIVE, MafFile, MafSet, Parts, Rows, last_tenth, standardised

KEPT = (0, 2, 4, 5, 6, 7)
"""Global active power, voltage, three sub-meterings and the time of day, of eight columns."""


@final
class Power(MafSet):
    """Electric power consumption of a household: rounded readings, smoothed by uniform noise of a reading's step.

    Order and noise are drawn from ``RandomState(42)``; columns 1 and 3, reactive power and intensity, are removed;
    noise is up to .001 on active power, .01 on voltage, 1 on sub-meterings and none on the time. Standardised by train
    and validation.

    References: Hebrail and Berard, Individual household electric power consumption, UCI, 2012.
    """

    dims = 6
    files = (MafFile("power/data.npy", f"taken unchanged from {ARCHIVE}"),)

    def parts(self, root: str) -> Parts:
        data = self.files[0].array(root, 8)
        rng, n = np.random.RandomState(42), len(data)
        # To shuffle the numbers of rows is what it is to shuffle the rows: the same draws, sooner done.
        rows = data[rng.permutation(n)][:, KEPT]
        # In this order the paper's code draws them.
        voltage, active, metering = 0.01 * rng.rand(n, 1), 0.001 * rng.rand(n, 1), rng.rand(n, 3)
        train, test = last_tenth(rows + np.hstack((active, voltage, metering, np.zeros((n, 1)))))
        return Parts(standardised(train, train), standardised(test, train))


MAKE_GAS = (
    'made next to ethylene_CO.pickle of {archive}, by: python -c "import numpy, pandas; '
    "data = pandas.read_pickle('ethylene_CO.pickle').drop(columns=['Meth', 'Eth', 'Time']); "
    "numpy.save('ethylene_CO.npy', data.to_numpy(float))\""
)


@final
class Gas(MafSet):
    """Sixteen chemical sensors in mixtures of ethylene and carbon monoxide, without those that repeat another.

    The first sensor that is correlated by more than .98 with another is removed, until there is none. Standardised by
    all rows, including the test set.

    References: Fonollosa et al., Reservoir computing compensates slow response of chemosensor arrays, Sensors and
    Actuators B 215, 2015.
    """

    dims = 8
    files = (MafFile("gas/ethylene_CO.npy", MAKE_GAS.format(archive=ARCHIVE)),)

    def parts(self, root: str) -> Parts:
        rows = np.asarray(self.files[0].array(root, 16), np.float64)
        rows = rows[:, unrepeated(rows)]
        return Parts(*last_tenth(standardised(rows, rows, freedom=1)))


def unrepeated(rows: Rows, limit: float = 0.98) -> NDArray[np.bool_]:
    """Which columns remain if the first that is correlated by more than a limit with another is removed, repeatedly.

    A column is removed if it is correlated with one after it: those before it are removed, or correlated with none.

    >>> x = np.arange(5.0)
    >>> unrepeated(np.stack((x, x**2, x % 2, x**2 + 1), axis=1)).tolist()
    [True, False, True, True]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        near = np.atleast_2d(np.corrcoef(rows, rowvar=False)) > limit
    return np.asarray(~np.triu(near, 1).any(axis=1))


COLUMNS = 28
"""A label and 27 features; the test file has one column more, which is ignored."""


@final
class Hepmass(MafSet):
    """Particle collisions in which a new particle of mass 1000 decays: the rows whose label is one.

    Features whose smallest value occurs more than five times in the training rows are removed: they are discrete or
    have a floor. Standardised by train and validation, with n - 1.

    References: Baldi et al., Parameterized neural networks for high-energy physics, 2016, arXiv:1601.07913.
    """

    dims = 21
    files = (
        MafFile("hepmass/1000_train.csv", f"taken unchanged from {ARCHIVE}"),
        MafFile("hepmass/1000_test.csv", f"taken unchanged from {ARCHIVE}"),
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
    """Which columns have their smallest value at most ``most`` times.

    The paper's code calls this the count of the most frequent value, but it computes that of the smallest.
    """
    rare: NDArray[np.bool_] = (rows == rows.min(0)).sum(0) <= most
    return rare


@final
class Miniboone(MafSet):
    """Particle identification in a neutrino experiment, already cleaned in the archive.

    Split in order, standardised by train and validation.

    References: Roe et al., Boosted decision trees as an alternative to artificial neural networks for particle
    identification, 2005, arXiv:physics/0408124.
    """

    dims = 43
    files = (MafFile("miniboone/data.npy", f"taken unchanged from {ARCHIVE}"),)

    def parts(self, root: str) -> Parts:
        train, test = last_tenth(np.asarray(self.files[0].array(root, self.dims), np.float64))
        return Parts(standardised(train, train), standardised(test, train))


MAKE_BSDS300 = (
    'made next to BSDS300.hdf5 of {archive}, by: python -c "import h5py, numpy; '
    "f = h5py.File('BSDS300.hdf5'); [numpy.save(part + '.npy', f[part]) for part in ('train', 'validation', 'test')]\""
)


@final
class BSDS300(MafSet):
    """Grey patches of 8x8 of natural images, without their mean and one pixel, as in the archive.

    References: Martin et al., A database of human segmented natural images, ICCV 2001; Zoran and Weiss, From learning
    models of natural image patches to whole image restoration, ICCV 2011.
    """

    dims = 63
    files = tuple(
        MafFile(f"BSDS300/{part}.npy", MAKE_BSDS300.format(archive=ARCHIVE)) for part in ("train", "validation", "test")
    )

    def parts(self, root: str) -> Parts:
        train, validation, test = (file.array(root, self.dims) for file in self.files)
        return Parts(np.concatenate((train, validation)), test)


SETS: dict[str, MafSet] = {
    "power": Power(),
    "gas": Gas(),
    "hepmass": Hepmass(),
    "miniboone": Miniboone(),
    "bsds300": BSDS300(),
}


@component("maf_table", example={"name": "power"})
class MafTable(Dataset):
    """Tabular data sets of the MAF paper, cleaned, split and standardised as in the paper's published code.

    ========= == ========= =======
    name      D  train     test
    ========= == ========= =======
    power     6  1,844,352 204,928
    gas       8  946,859   105,206
    hepmass   21 350,136   174,987
    miniboone 43 32,840    3,648
    bsds300   63 1,050,000 250,000
    ========= == ========= =======

    A batch has ``row``, float32 ``[B, D]``. Published likelihoods of these sets are in nats of these standardised units
    (bsds300: of the unscaled patches), and so are zoo's; they differ by no constant.

    The paper's validation set, the last tenth of the rows that are not test, is part of ``train`` here, in the paper's
    order: zoo holds out a random fraction of train, ``train.validation``.

    Two files of the archive must be converted to ``.npy`` once: a pickle, which would run code, and an HDF5 file. The
    `zoo.DataError` for a missing file has the command for it.

    Args:
        name: The data set.
        root: The folder of the unpacked archive, relative to the working directory or to ``$ZOO_DATA``.

    References: Papamakarios et al., Masked autoregressive flow for density estimation, 2017, arXiv:1705.07057, sec. 4.2
    and appendix D.

    >>> MafTable(name="miniboone").event.shape
    Shape(43)
    """

    places = ("root",)

    def __init__(self, *, name: Literal["power", "gas", "hepmass", "miniboone", "bsds300"], root: str = "maf") -> None:
        self.name, self.root = name, root

    @property
    def event(self) -> Event:
        return Event("row", Shape(SETS[self.name].dims))

    def split(self, name: Literal["train", "test"]) -> Examples:
        parts = SETS[self.name].parts(self.root)
        rows = (parts.train if name == "train" else parts.test).astype(np.float32)
        self._check(rows)
        return InMemory({"row": torch.from_numpy(rows)})

    def _check(self, rows: Rows) -> None:
        """Check the prepared rows: files other than the published ones can give anything."""
        chosen = SETS[self.name]
        place = f"'{self.name}' from '{self.root}' has"
        if rows.shape[1] != chosen.dims:
            raise DataError(
                f"{place} {rows.shape[1]} columns when cleaned, expected {chosen.dims}: {chosen.files[0].hint}"
            )
        if not len(rows):
            raise DataError(f"{place} too few rows: {chosen.files[0].hint}")
        if not np.isfinite(rows).all():
            raise DataError(f"{place} a column that is constant or has no finite number: {chosen.files[0].hint}")
