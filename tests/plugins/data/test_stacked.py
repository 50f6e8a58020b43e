"""Stacked images: each channel is an image of the other data, and the label has the digits of all three."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import zoo


def stacked(**values: Any) -> zoo.Dataset:
    node = {"type": "stacked", "of": "digits", "size": 200, "test_size": 50, **values}
    data: zoo.Dataset = zoo.declare(zoo.Dataset, node)()
    return data


@pytest.mark.parametrize("name", ["train", "test"])
def test_channels_are_images_of_the_other_data(name: Any) -> None:
    digits = zoo.declare(zoo.Dataset, "digits")().split(name)
    every = digits.read(torch.arange(len(digits)))
    known = {image.numpy().tobytes(): int(y) for image, y in zip(every["image"], every["label"], strict=True)}
    batch = stacked().split(name).read(torch.tensor([3, 0, 41]))
    assert batch["image"].shape == (3, 3, 8, 8)
    for image, label in zip(batch["image"], batch["label"], strict=True):
        ones = [known[channel.numpy().tobytes()] for channel in image]
        assert int(label) == 100 * ones[0] + 10 * ones[1] + ones[2]


def test_modes_are_spread_and_fixed_by_the_seed() -> None:
    labels = stacked(size=5000).split("train").read(torch.arange(5000))["label"]
    assert len({*labels.tolist()}) > 950  # 1000 (1 - e^-5) in the mean
    again = stacked(size=5000).split("train").read(torch.arange(5000))["label"]
    other = stacked(size=5000, seed=1).split("train").read(torch.arange(5000))["label"]
    assert torch.equal(labels, again)
    assert not torch.equal(labels, other)
    prints = {stacked(seed=seed).split(name).fingerprint() for seed in (0, 1) for name in ("train", "test")}
    assert len(prints) == 4


def test_other_data_is_refused() -> None:
    with pytest.raises(zoo.SpecError, match="stacks grey images with classes, got point 2 of 'toy2d'"):
        stacked(of={"type": "toy2d", "figure": "two_moons"})
