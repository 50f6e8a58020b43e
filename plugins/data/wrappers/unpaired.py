"""Images of two data sets side by side, without pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from zoo import Batch, Dataset, Event, Examples, InMemory, Part, component

from .degraded import CONDITION

OTHER = f"{CONDITION}."
"""What the names of stored entries of the second data set begin with."""


@component("unpaired", example={"of": "digits", "condition": "digits"})
class Unpaired(Dataset):
    r"""Images of one data set and of another, which have nothing to do with each other: what `cyclegan` learns from.

    The examples of ``of``, with an entry ``condition`` of the images of the other data set, in the order of a fixed
    permutation. Of the training examples of the smaller data set some come more than once, so that all of the larger
    one do; the test split has each test example of ``of`` once.

    ValueError for data with an entry ``condition``.

    Args:
        of: The data set whose images are modelled.
        condition: The data set of the images that they are translated from, of which other entries are left out.

    References: Zhu et al., Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, 2017,
    arXiv:1703.10593.

    >>> import zoo
    >>> dark = {"type": "recoloured", "of": "digits", "ink": [0.0], "paper": [1.0]}
    >>> both = zoo.declare(zoo.Dataset, {"type": "unpaired", "of": "digits", "condition": dark})()
    >>> str(both.event)
    'image 1x8x8, levels 17, classes 10, also condition 1x8x8, levels 17'
    """

    places = ()

    def __init__(self, *, of: Part[Dataset], condition: Part[Dataset]) -> None:
        self.of, self.condition = of(), condition()
        theirs = self.condition.event
        entry = replace(theirs.entries[theirs.name], name=CONDITION)
        self._event = replace(self.of.event, also=(*self.of.event.also, entry))

    @property
    def event(self) -> Event:
        return self._event

    def split(self, name: Literal["train", "test"]) -> Examples:
        ours, theirs = self.of.split(name), self.condition.split(name)
        n, m = len(ours), len(theirs)
        rows = torch.arange(max(n, m) if name == "train" else n)
        order = torch.from_numpy(np.random.default_rng(("train", "test").index(name)).permutation(m))
        both = (ours, rows % n), (theirs, order[rows % m])
        entry = self.condition.event.name
        if isinstance(ours, InMemory) and isinstance(theirs, InMemory):
            return _Resident(*both, entry)
        return _Streamed(*both, entry)


Rows = tuple[Examples, Tensor]
"""Examples, and the numbers of those that are taken of them."""


class _Both(Examples):
    """Examples of two data sets: how they are rendered and described."""

    def __init__(self, ours: Rows, theirs: Rows, entry: str) -> None:
        self.ours, self.theirs, self.entry = ours, theirs, entry

    def __len__(self) -> int:
        return len(self.ours[1])

    def read(self, indices: Tensor) -> dict[str, Tensor]:
        (ours, rows), (theirs, others) = self.ours, self.theirs
        other = theirs.read(others[indices])
        return ours.read(rows[indices]) | {f"{OTHER}{name}": x for name, x in other.items()}

    def render(self, batch: Batch) -> Batch:
        ours = {name: x for name, x in batch.items() if not name.startswith(OTHER)}
        theirs = {name.removeprefix(OTHER): x for name, x in batch.items() if name.startswith(OTHER)}
        return {**self.ours[0].render(ours), CONDITION: self.theirs[0].render(theirs)[self.entry]}

    def fingerprint(self) -> str:
        digest = hashlib.sha256(b"unpaired")
        for examples, rows in (self.ours, self.theirs):
            digest.update(examples.fingerprint().encode() + rows.numpy().tobytes())
        return f"sha256:{digest.hexdigest()[:32]}"

    def survey(self) -> Iterable[str]:
        yield from self.ours[0].survey()
        yield from self.theirs[0].survey()

    def summary(self) -> str:
        return f"{len(self):,} unpaired: {self.ours[0].summary()}, and {self.theirs[0].summary()}"


class _Streamed(_Both):
    """Examples of which some are read batch by batch."""


class _Resident(_Both, InMemory):
    """Examples that are all in memory."""

    def __init__(self, ours: Rows, theirs: Rows, entry: str) -> None:
        _Both.__init__(self, ours, theirs, entry)
        InMemory.__init__(self, _Both.read(self, torch.arange(len(self))))
