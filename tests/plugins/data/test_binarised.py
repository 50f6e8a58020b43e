"""Data sets made of others: bits in place of levels, and a few examples of many."""

from __future__ import annotations

import math
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import zoo

data_module = import_module("zoo.data.batches")
binarised = import_module("zoo.plugins.data.wrappers.binarised")
subset = import_module("zoo.plugins.data.wrappers.subset")
image_files = import_module("zoo.plugins.data.images.decode")

SPRITES = {"type": "dsprites_like", "side": 16, "size": 300, "test_size": 100}


def dataset(node: Any) -> zoo.Dataset:
    built: zoo.Dataset = zoo.declare(zoo.Dataset, node)()
    return built


def whole(examples: zoo.Examples) -> zoo.Batch:
    return examples.render(examples.read(torch.arange(len(examples))))


def bits_of(split: Any = "train", **parameters: Any) -> Tensor:
    return whole(dataset({"type": "binarised", "of": "digits", **parameters}).split(split))["image"]


def probability(split: Any = "train") -> Tensor:
    return whole(dataset("digits").split(split))["image"].double() / 16.0


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, Any]:
    """Images in files, which are read batch by batch: ten of class 0, then five of class 1."""
    for label, count in enumerate((10, 5)):
        (tmp_path / str(label)).mkdir()
        for number in range(count):
            pixels = np.random.default_rng([label, number]).integers(0, 256, (8, 8), np.uint8)
            image_files.PIL.Image.fromarray(pixels).save(tmp_path / str(label) / f"{number}.png")
    path = str(tmp_path)
    return {"type": "image_folder", "train": path, "test": path, "size": 8, "channels": 1, "classes": 2}


# Bits.


@pytest.mark.parametrize("how", ["dynamic", "static"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_bits_are_one_as_often_as_the_levels_say(how: str, split: str) -> None:
    p, bits = probability(split), bits_of(split, how=how)
    assert bits.dtype == torch.uint8
    assert set(bits.flatten().tolist()) == {0, 1}
    assert (bits[p == 0] == 0).all()
    assert (bits[p == 1] == 1).all()
    for level in range(1, 16):
        chosen = bits[p == level / 16].double()
        error = math.sqrt(level / 16 * (1 - level / 16) / len(chosen))
        assert chosen.mean().item() == pytest.approx(level / 16, abs=5.0 * error)


def test_dynamic_bits_are_new_each_time_and_seeded_by_the_default_generator() -> None:
    examples = dataset({"type": "binarised", "of": "digits"}).split("train")
    kept = examples.read(torch.arange(50))
    torch.manual_seed(0)
    once, again = examples.render(kept), examples.render(kept)
    torch.manual_seed(0)
    assert torch.equal(examples.render(kept)["image"], once["image"])
    assert not torch.equal(once["image"], again["image"])
    assert torch.equal(once["label"], again["label"])


def test_static_bits_are_the_same_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of seed, split and number: whatever else is drawn, and however many are drawn at a time."""
    once = bits_of(how="static")
    monkeypatch.setattr(binarised, "CHUNK", 100)
    torch.manual_seed(1)
    assert torch.equal(bits_of(how="static", seed=0), once)
    assert not torch.equal(bits_of(how="static", seed=1), once)
    assert not torch.equal(bits_of("test", how="static"), once[:360])


def test_a_threshold_is_reached_or_not() -> None:
    p = probability()
    assert torch.equal(bits_of(how="threshold"), (p >= 0.5).to(torch.uint8))
    assert torch.equal(bits_of(how="threshold", threshold=0.125), (p >= 0.125).to(torch.uint8))
    assert bits_of(how="threshold", threshold=1.0).sum() == (p == 1).sum()


def test_everything_but_the_image_is_left_as_it_is() -> None:
    whole_digits = whole(dataset("digits").split("test"))
    for how in ("dynamic", "static", "threshold"):
        data = dataset({"type": "binarised", "of": "digits", "how": how})
        assert data.event == zoo.Event("image", zoo.Shape(1, 8, 8), levels=2, classes=10)
        batch = whole(data.split("test"))
        assert set(batch) == {"image", "label"}
        assert torch.equal(batch["label"], whole_digits["label"])
        assert isinstance(data.split("test"), zoo.InMemory)


def test_fingerprints_tell_the_ways_apart() -> None:
    ways: list[dict[str, Any]] = [
        {"how": "dynamic"},
        {"how": "static"},
        {"how": "static", "seed": 1},
        {"how": "threshold"},
        {"how": "threshold", "threshold": 0.25},
    ]
    prints = {dataset({"type": "binarised", "of": "digits", **way}).split("train").fingerprint() for way in ways}
    prints.add(dataset("digits").split("train").fingerprint())
    assert len(prints) == 6
    again = dataset({"type": "binarised", "of": "digits", "how": "threshold", "threshold": 0.5}).split("train")
    assert again.fingerprint() in prints


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"of": "mixture1d"}, "the data of 'mixture1d' is continuous"),
        ({"of": SPRITES}, "the data of 'dsprites_like' is binary already"),
        ({"of": "digits", "seed": 1}, "'seed' requires 'how: static', got 'dynamic'"),
        ({"of": "digits", "how": "static", "threshold": 0.5}, "'threshold' requires 'how: threshold', got 'static'"),
        ({"of": "digits", "how": "threshold", "threshold": 0.0}, "threshold"),
    ],
)
def test_what_has_no_meaning_is_refused(node: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        dataset({"type": "binarised", **node})


def test_images_in_files_are_binarised_as_they_are_read(pictures: dict[str, Any]) -> None:
    grey = whole(dataset(pictures).split("train"))
    examples = dataset({"type": "binarised", "of": pictures, "how": "threshold"}).split("train")
    assert not isinstance(examples, zoo.InMemory)
    assert torch.equal(whole(examples)["image"], (grey["image"] >= 128).to(torch.uint8))
    static = whole(dataset({"type": "binarised", "of": pictures, "how": "static"}).split("train"))
    assert torch.equal(static["label"], grey["label"])
    assert (static["image"].double() - grey["image"].double() / 255).mean().abs() < 0.1


def test_training_renders_what_it_reads(device: str) -> None:
    """Bits where the data lives on the device, and where it is read ahead."""
    digits = {"type": "binarised", "of": "digits", "how": "threshold"}
    train, _ = data_module.sources(dataset(digits).split("train"), 0.0, torch.device(device))
    assert train.resident
    batch = train.read(torch.arange(5))
    assert batch["image"].device.type == device
    assert torch.equal(batch["image"].cpu(), bits_of(how="threshold")[:5])


# A few examples.


def few(**parameters: Any) -> zoo.Examples:
    return dataset({"type": "subset", "of": "digits", **parameters}).split("train")


def rows(examples: zoo.Examples) -> set[tuple[int, ...]]:
    return {tuple(image.flatten().tolist()) for image in whole(examples)["image"]}


def test_a_subset_is_the_start_of_its_permutation() -> None:
    digits = whole(dataset("digits").split("train"))
    for seed in (0, 3):
        order = np.random.default_rng(seed).permutation(1437)[:100]
        batch = whole(few(train=100, seed=seed))
        assert torch.equal(batch["image"], digits["image"][order])
        assert torch.equal(batch["label"], digits["label"][order])


def test_the_test_split_is_whole() -> None:
    data = dataset({"type": "subset", "of": "digits", "train": 10})
    assert data.event == dataset("digits").event
    assert data.split("test").fingerprint() == dataset("digits").split("test").fingerprint()


@pytest.mark.parametrize("chunk", [7, 256])
def test_balanced_classes_are_equally_many(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(subset, "CHUNK", chunk)
    examples = few(train=103, balanced=True)
    assert whole(examples)["label"].bincount().tolist() == [11] * 3 + [10] * 7
    assert rows(examples) <= rows(few(train=1437))
    first = few(train=3, seed=0, balanced=True)
    labels = whole(few(train=1437))["label"].tolist()
    images = whole(few(train=1437))["image"]
    expected = sorted(labels.index(label) for label in range(3))
    assert torch.equal(whole(first)["image"], images[expected])


@pytest.mark.parametrize("balanced", [False, True])
def test_smaller_subsets_are_parts_of_larger_ones(balanced: bool) -> None:
    sizes = (9, 10, 57, 200)
    nested = [rows(few(train=size, balanced=balanced)) for size in sizes]
    assert [len(each) for each in nested] == list(sizes)
    assert all(small < large for small, large in pairwise(nested))


def test_subsets_have_fingerprints_of_their_own() -> None:
    ways: list[dict[str, Any]] = [{}, {"train": 51}, {"seed": 1}, {"balanced": True}]
    assert len({few(**{"train": 50, **way}).fingerprint() for way in ways}) == 4
    assert few(train=50).fingerprint() == few(train=50, seed=0).fingerprint()


def test_a_subset_of_what_is_drawn_is_drawn() -> None:
    batch = whole(dataset({"type": "subset", "of": SPRITES, "train": 20}).split("train"))
    all_of_them = whole(dataset(SPRITES).split("train"))
    order = np.random.default_rng(0).permutation(300)[:20]
    assert torch.equal(batch["image"], all_of_them["image"][order])
    assert torch.equal(batch["factors"], all_of_them["factors"][order])
    bits = {"type": "binarised", "of": {"type": "subset", "of": "digits", "train": 20}, "how": "threshold"}
    assert len(whole(dataset(bits).split("train"))["image"]) == 20


def test_a_subset_of_files_reads_those_files(pictures: dict[str, Any]) -> None:
    node = {"type": "subset", "of": pictures, "train": 8, "balanced": True}
    examples = dataset(node).split("train")
    assert not isinstance(examples, zoo.InMemory)
    assert len(examples) == 8
    assert whole(examples)["label"].bincount().tolist() == [4, 4]
    assert torch.equal(examples.read(torch.tensor([7]))["image"][0], whole(examples)["image"][7])


def test_too_few_examples_are_an_error(pictures: dict[str, Any]) -> None:
    with pytest.raises(zoo.DataError, match="got 1437 examples to train on, expected 1438"):
        few(train=1438)
    with pytest.raises(zoo.DataError, match="a class has fewer than 6 examples: 12 cannot be balanced"):
        dataset({"type": "subset", "of": pictures, "train": 12, "balanced": True}).split("train")
    with pytest.raises(zoo.SpecError, match="the data of 'dsprites_like' has no classes to balance"):
        dataset({"type": "subset", "of": SPRITES, "train": 10, "balanced": True})
