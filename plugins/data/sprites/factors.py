"""Factors of a sprite, and its number in the grid of all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from zoo import DataError

FACTORS: Mapping[str, int] = {"shape": 3, "scale": 6, "orientation": 40, "x": 32, "y": 32}
"""The number of values of each factor; the last one changes fastest."""
SIZE = math.prod(FACTORS.values())


def factors_of(number: Tensor) -> Tensor:
    """The factors of sprites by their numbers in the grid: ``[B] -> int64 [B, 5]``.

    >>> factors_of(torch.tensor([0, 33, 737_279])).tolist()
    [[0, 0, 0, 0, 0], [0, 0, 0, 1, 1], [2, 5, 39, 31, 31]]
    """
    sizes = list(FACTORS.values())
    strides = torch.tensor([math.prod(sizes[i + 1 :]) for i in range(len(sizes))], device=number.device)
    bounds = torch.tensor(sizes, device=number.device)
    return number.long().unsqueeze(1).div(strides, rounding_mode="floor").remainder(bounds)


def numbers(name: Literal["train", "test"], size: int | None, test_size: int) -> Tensor:
    """The numbers of a split's sprites, int32: the last ``test_size`` of a fixed permutation are the test set.

    Of the others the first ``size`` are the training set, or all of them. `zoo.DataError` if there are too few.

    >>> len(numbers("train", None, 10_000)), len(numbers("train", 500, 10_000)), len(numbers("test", 500, 10_000))
    (727280, 500, 10000)
    """
    rest = SIZE - test_size
    if rest < (size or 1):
        raise DataError(f"a training set of {size or 'one or more'} and a test set of {test_size} exceed {SIZE} images")
    order = np.random.default_rng(0).permutation(SIZE).astype(np.int32)
    return torch.from_numpy(order[rest:] if name == "test" else order[: rest if size is None else size])
