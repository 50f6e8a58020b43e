"""Subset of the training examples of another data set."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from zoo import DataError, Dataset, Event, Examples, Part, component

from .derived import chosen

CHUNK = 256
"""Labels that are read at once: those of image files are read with the images."""


@component("subset", example={"of": "digits", "train": 100})
class Subset(Dataset):
    """Subset of another data set: the start of a fixed permutation of its training split, and its whole test split.

    The permutation is ``numpy.random.default_rng(seed).permutation(N)``. A smaller subset is part of a larger one with
    the same seed.

    Raises ValueError for ``balanced`` if the data has no classes, and `zoo.DataError` if there are too few examples, of
    a class or in total.

    Args:
        of: The other data set.
        train: The number of training examples.
        balanced: Take equally many examples of each class, or one more of some if ``train`` is not a multiple of
            the classes.
        seed: The seed of the permutation.

    >>> import zoo
    >>> few = zoo.declare(zoo.Dataset, {"type": "subset", "of": "digits", "train": 20, "balanced": True})()
    >>> few.split("train").read(torch.arange(20))["label"].bincount().tolist(), len(few.split("test"))
    ([2, 2, 2, 2, 2, 2, 2, 2, 2, 2], 360)
    """

    places = ()

    def __init__(
        self, *, of: Part[Dataset], train: PositiveInt, balanced: bool = False, seed: NonNegativeInt = 0
    ) -> None:
        self.of = of()
        if balanced and self.of.event.classes is None:
            raise ValueError(f"the data of '{of.name}' has no classes to balance")
        self.train, self.balanced, self.seed = train, balanced, seed

    @property
    def event(self) -> Event:
        return self.of.event

    def split(self, name: Literal["train", "test"]) -> Examples:
        examples = self.of.split(name)
        if name == "test":
            return examples
        if len(examples) < self.train:
            raise DataError(f"got {len(examples)} examples to train on, expected {self.train}")
        order = torch.from_numpy(np.random.default_rng(self.seed).permutation(len(examples)))
        numbers = self._balanced(examples, order) if self.balanced else order[: self.train]
        return chosen(examples, numbers, f"subset {self.train} {self.seed} {self.balanced}")

    def _balanced(self, examples: Examples, order: Tensor) -> Tensor:
        each, more = divmod(self.train, self.event.classes or 1)
        taken: Counter[int] = Counter()
        numbers: list[int] = []
        for chunk in torch.split(order, CHUNK):
            labels = examples.read(chunk)["label"]
            for number, label in zip(chunk.tolist(), labels.tolist(), strict=True):
                if taken[label] < each + (label < more):
                    taken[label] += 1
                    numbers.append(number)
            if len(numbers) == self.train:
                return torch.tensor(numbers)
        raise DataError(f"a class has fewer than {each + (more > 0)} examples: {self.train} cannot be balanced")
