"""Densities to learn, the same batches for everyone: figures in the plane, and digits as vectors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

import zoo

FIGURES = ("two_moons", "eight_gaussians", "checkerboard", "pinwheel", "rings", "spirals")
ALPHA = 0.05
"""How far the logit of the digits stays away from the ends."""


@dataclass(frozen=True)
class Problem:
    """Points ``[N, D]``, standardised by the mean and the deviation of the training set.

    ``offset`` is what turns nats of these points into nats of the data, on average over the held-out ones.
    """

    train: Tensor
    test: Tensor
    offset: float

    def batches(self, steps: int, size: int, seed: int) -> Iterator[Tensor]:
        """A pure function of its arguments: rows drawn with replacement."""
        draw = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            yield self.train[torch.randint(len(self.train), (size,), generator=draw)]


def problem(name: str) -> Problem:
    """A figure in the plane by its name, or ``digits``."""
    if name == "digits":
        return _standardised(*(_digits(split) for split in ("train", "test")))
    dataset = zoo.declare(zoo.Dataset, {"type": "toy2d", "figure": name})()
    (train, test) = (_read(dataset, split)["point"] for split in ("train", "test"))
    return _standardised((train, 0.0), (test, 0.0))


def _digits(split: Literal["train", "test"]) -> tuple[Tensor, float]:
    """Logits of digits with uniform noise, and the mean log-determinant of that map; each training image four times."""
    images = _read(zoo.declare(zoo.Dataset, "digits")(), split)["image"].flatten(1).double()
    images = images.repeat(4, 1) if split == "train" else images
    noise = torch.rand(images.shape, dtype=images.dtype, generator=torch.Generator().manual_seed(0))
    levels, kept = 17, 1.0 - 2.0 * ALPHA
    share = ALPHA + kept * (images + noise) / levels
    log_det = math.log(kept / levels) - share.log() - (1.0 - share).log()
    return share.logit().float(), log_det.sum(1).mean().item()


def _standardised(train: tuple[Tensor, float], test: tuple[Tensor, float]) -> Problem:
    mean, std = train[0].mean(0), train[0].std(0)
    offset = std.log().sum().item() - test[1]
    return Problem((train[0] - mean) / std, (test[0] - mean) / std, offset)


def _read(dataset: zoo.Dataset, split: Literal["train", "test"]) -> zoo.Batch:
    examples = dataset.split(split)
    return examples.read(torch.arange(len(examples)))
