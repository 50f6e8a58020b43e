"""The tabular sets that density estimators are compared on."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from zoo import DataError, Dataset, Event, Examples, InMemory, Shape, component

from .maf_bsds300 import BSDS300
from .maf_gas import Gas
from .maf_hepmass import Hepmass
from .maf_miniboone import Miniboone
from .maf_power import Power
from .maf_set import MafSet, Rows

SETS: dict[str, MafSet] = {
    "power": Power(),
    "gas": Gas(),
    "hepmass": Hepmass(),
    "miniboone": Miniboone(),
    "bsds300": BSDS300(),
}


@component("maf_table", example={"name": "power"})
class MafTable(Dataset):
    """The tabular sets of the MAF paper, cleaned, split and standardised as by the paper's published code.

    ========= == ========= =======
    name      D  train     test
    ========= == ========= =======
    power     6  1,844,352 204,928
    gas       8  946,859   105,206
    hepmass   21 350,136   174,987
    miniboone 43 32,840    3,648
    bsds300   63 1,050,000 250,000
    ========= == ========= =======

    A batch has ``row``, float32 ``[B, D]``; ``name`` chooses one of the five sets. Likelihoods that are published for
    these sets are in nats of these standardised units (bsds300: of the patches as they are), and so are zoo's; there is
    no constant between them.

    The paper's own validation set, the last tenth of what is not test, is here part of ``train``, whose rows keep the
    paper's order: zoo holds out a random fraction of train, ``train.validation``.

    ``root`` is the unpacked archive, relative to the working directory or to ``$ZOO_DATA``. Two of its files are turned
    into ``.npy`` first, once: a pickle, which would run code, and an HDF5 file. `zoo.DataError` for a missing file has
    the line that makes it.

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
        """Other files than the published ones can end in anything."""
        chosen = SETS[self.name]
        place = f"'{self.name}' from '{self.root}' has"
        if rows.shape[1] != chosen.dims:
            raise DataError(f"{place} {rows.shape[1]} columns when cleaned, not {chosen.dims}: {chosen.files[0].hint}")
        if not len(rows):
            raise DataError(f"{place} too few rows: {chosen.files[0].hint}")
        if not np.isfinite(rows).all():
            raise DataError(f"{place} a column that is constant or holds no finite number: {chosen.files[0].hint}")
