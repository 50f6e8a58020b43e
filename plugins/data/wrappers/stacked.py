"""Images stacked from examples of another data set, a channel each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from zoo import Dataset, Event, Examples, Part, Shape, component

CHANNELS = 3


@component("stacked", example={"of": "digits", "size": 100, "test_size": 20})
class Stacked(Dataset):
    r"""Images of three grey ones that are drawn independently, one a channel: 1000 modes of ten digits.

    The label is the number that the digits write, :math:`100 y_1 + 10 y_2 + y_3`. Splits are stacked from those of the
    other data set: a fixed draw, a pure function of the seed.

    ValueError unless the other data is grey images with classes and no further entries.

    Args:
        of: The other data set.
        size: The number of training examples.
        test_size: The number of test examples.
        seed: The seed of the draw.

    References: Metz et al., Unrolled Generative Adversarial Networks, 2016, arXiv:1611.02163, section 3.3.1;
    Srivastava et al., VEEGAN, 2017, arXiv:1705.07761.

    >>> import zoo
    >>> node = {"type": "stacked", "of": "digits", "size": 100, "test_size": 20}
    >>> stacked = zoo.declare(zoo.Dataset, node)()
    >>> stacked.event.shape, stacked.event.classes
    (Shape(3, 8, 8), 1000)
    """

    places = ()

    def __init__(
        self,
        *,
        of: Part[Dataset],
        size: PositiveInt = 60_000,
        test_size: PositiveInt = 10_000,
        seed: NonNegativeInt = 0,
    ) -> None:
        self.of, self.seed = of(), seed
        event = self.of.event
        if len(event.shape) != 3 or event.shape[0] != 1 or event.classes is None or event.also:
            raise ValueError(f"stacks grey images with classes, got {event} of '{of.name}'")
        self.sizes = {"train": size, "test": test_size}

    @property
    def event(self) -> Event:
        event = self.of.event
        _, *sides = event.shape
        classes = (event.classes or 1) ** CHANNELS
        return replace(event, shape=Shape(CHANNELS, *sides), classes=classes)

    def split(self, name: Literal["train", "test"]) -> Examples:
        examples = self.of.split(name)
        rng = np.random.default_rng([self.seed, ("train", "test").index(name)])
        numbers = torch.from_numpy(rng.integers(len(examples), size=(self.sizes[name], CHANNELS)))
        return Triples(examples, numbers, self.of.event)


class Triples(Examples):
    """Examples that are read in threes, ``[N, 3]`` numbers of others."""

    def __init__(self, of: Examples, numbers: Tensor, event: Event) -> None:
        self.of, self.numbers, self.event = of, numbers, event

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, indices: Tensor) -> dict[str, Tensor]:
        read = self.of.render(self.of.read(self.numbers[indices].flatten()))
        image, label = read[self.event.name], read["label"].reshape(-1, CHANNELS)
        powers = torch.tensor([(self.event.classes or 1) ** i for i in (2, 1, 0)])
        stacked = image.reshape(-1, CHANNELS, *image.shape[2:])  # [3 B, 1, H, W] -> [B, 3, H, W]
        return {self.event.name: stacked, "label": (label * powers).sum(1)}

    def fingerprint(self) -> str:
        digest = hashlib.sha256(self.of.fingerprint().encode() + self.numbers.numpy().tobytes()).hexdigest()
        return f"sha256:{digest[:32]}"

    def survey(self) -> Iterable[str]:
        return self.of.survey()

    def summary(self) -> str:
        return f"{len(self):,} stacked from {self.of.summary()}"
