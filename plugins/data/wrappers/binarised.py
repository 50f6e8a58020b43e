"""Binarised data of another data set."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeInt

from zoo import Batch, Dataset, Event, Examples, Part, component

from .derived import in_memory, rendered

CHUNK = 4096
"""Examples that are drawn at once."""


@component("binarised", example={"of": "digits"})
class Binarised(Dataset):
    r"""Binarised data: the levels of another data set as probabilities of bits.

    .. math:: P(b = 1) = \frac{x}{L - 1}, \qquad x \in \{0, \dots, L - 1\}

    where :math:`x` is a number of the other data set, which has :math:`L` levels. Other entries of a batch are
    unchanged.

    The three ways make three data sets, whose likelihoods are not comparable. ``static`` has the probabilities of the
    published binarised MNIST, but not the same bits.

    Raises ValueError for data that is continuous or binary already, and for a ``seed`` or ``threshold`` that ``how``
    does not use.

    Args:
        of: The other data set.
        how: ``dynamic`` draws new bits each time that an example is used; ``static`` draws them once and stores
            them in memory; ``threshold`` compares the probability with ``threshold``.
        threshold: The probability from which on a bit is one, with ``how: threshold``; ``null`` for 0.5.
        seed: The seed of the bits, with ``how: static``; ``null`` for 0.

    References: Salakhutdinov and Murray, On the Quantitative Analysis of Deep Belief Networks, 2008 (static); Burda et
    al., Importance Weighted Autoencoders, 2015, arXiv:1509.00519, sec. 5 (dynamic).

    >>> import zoo
    >>> digits = zoo.declare(zoo.Dataset, {"type": "binarised", "of": "digits"})()
    >>> digits.event.shape, digits.event.levels, digits.event.classes
    (Shape(1, 8, 8), 2, 10)
    """

    places = ()

    def __init__(
        self,
        *,
        of: Part[Dataset],
        how: Literal["dynamic", "static", "threshold"] = "dynamic",
        threshold: Annotated[float, Field(gt=0.0, le=1.0)] | None = None,
        seed: NonNegativeInt | None = None,
    ) -> None:
        self.of = of()
        levels = self.of.event.levels
        if levels is None or levels <= 2:
            raise ValueError(f"the data of '{of.name}' is {'continuous' if levels is None else 'binary already'}")
        for given, name, user in ((threshold, "threshold", "threshold"), (seed, "seed", "static")):
            if given is not None and how != user:
                raise ValueError(f"'{name}' requires 'how: {user}', got '{how}'")
        self.how = how
        self.threshold = 0.5 if threshold is None else threshold
        self.seed = seed or 0

    @property
    def event(self) -> Event:
        return replace(self.of.event, levels=2)

    def split(self, name: Literal["train", "test"]) -> Examples:
        examples, event = self.of.split(name), self.of.event
        if self.how == "dynamic":
            return rendered(examples, partial(_tossed, event), "binarised dynamic")
        if self.how == "threshold":
            return rendered(examples, partial(_compared, event, self.threshold), f"binarised {self.threshold!r}")
        return _drawn_once(examples, event, np.random.default_rng([self.seed, ("train", "test").index(name)]))


def _tossed(event: Event, batch: Batch) -> Batch:
    p = event.unit(batch[event.name])
    return {**batch, event.name: (torch.rand_like(p) < p).to(torch.uint8)}


def _compared(event: Event, threshold: float, batch: Batch) -> Batch:
    return {**batch, event.name: (event.unit(batch[event.name]) >= threshold).to(torch.uint8)}


def _drawn_once(examples: Examples, event: Event, rng: np.random.Generator) -> Examples:
    chunks = []
    for numbers in torch.split(torch.arange(len(examples)), CHUNK):
        batch = examples.render(examples.read(numbers))
        p = event.unit(batch[event.name], torch.float64)
        chunks.append({**batch, event.name: (torch.from_numpy(rng.random(p.shape)) < p).to(torch.uint8)})
    return in_memory(examples, {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]})
