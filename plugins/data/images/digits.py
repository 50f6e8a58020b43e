"""Small handwritten digits of scikit-learn."""

from __future__ import annotations

from importlib import import_module
from typing import Literal

import numpy as np
import torch

from zoo import Dataset, Event, Examples, InMemory, Shape, component

EXAMPLES = 1797
TEST = 360


@component("digits")
class Digits(Dataset):
    r"""Handwritten digits of scikit-learn: 1797 images of 8x8 with the 17 levels 0 to 16, in ten classes.

    A batch has ``image``, uint8 ``[B, 1, 8, 8]``, and ``label``, int64 ``[B]``. The split is fixed: of the permutation
    ``numpy.random.default_rng(0).permutation(1797)`` the first 1437 examples are the training set, the last 360 the
    test set. Nothing is downloaded.

    References: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998,
    doi:10.24432/C50P49 (the test part of it, as scikit-learn has it).

    >>> digits = Digits()
    >>> digits.event.shape, digits.event.levels
    (Shape(1, 8, 8), 17)
    >>> len(digits.split("train")), len(digits.split("test"))
    (1437, 360)
    """

    places = ()

    @property
    def event(self) -> Event:
        return Event("image", Shape(1, 8, 8), levels=17, classes=10)

    def split(self, name: Literal["train", "test"]) -> Examples:
        bunch = import_module("sklearn.datasets").load_digits()
        order = np.random.default_rng(0).permutation(EXAMPLES)
        chosen = order[:-TEST] if name == "train" else order[-TEST:]
        image = torch.from_numpy(bunch.images[chosen].astype(np.uint8)).unsqueeze(1)
        return InMemory({"image": image, "label": torch.from_numpy(bunch.target[chosen].astype(np.int64))})
