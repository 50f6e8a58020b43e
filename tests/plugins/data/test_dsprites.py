"""Sprites: drawn as the formulas say, in the order of dSprites; and the archive of dSprites itself."""

from __future__ import annotations

import hashlib
import math
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import zoo

sprites = import_module("zoo.plugins.data.sprites.render")
sprite_grid = import_module("zoo.plugins.data.sprites.factors")
sprite_outlines = import_module("zoo.plugins.data.sprites.render")
dsprites_file = import_module("zoo.plugins.data.sprites.dsprites")

SIZES = [3, 6, 40, 32, 32]
AREAS = [19.2**2, math.pi * 12.8 * 7.25, 225.350]
"""Of the largest square, ellipse and heart, in pixels; the heart's by the trapezoidal rule."""
SIDES = [64, 32, 16, 8]


def dataset(node: Any) -> zoo.Dataset:
    built: zoo.Dataset = zoo.declare(zoo.Dataset, node)()
    return built


def batch_of(examples: zoo.Examples, numbers: Tensor) -> zoo.Batch:
    return examples.render(examples.read(numbers))


def some_factors(n: int, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, SIZES, (n, 5)))


def inside(factors: list[int], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether points of the frame lie in a sprite, one inequality a shape."""
    shape, scale, orientation, i, j = factors
    angle = 2.0 * math.pi * orientation / 39.0
    dx, dy = x - (16.0 + 32.0 * i / 31.0), y - (16.0 + 32.0 * j / 31.0)
    u = (math.cos(angle) * dx + math.sin(angle) * dy) / (0.5 + 0.1 * scale)
    v = (-math.sin(angle) * dx + math.cos(angle) * dy) / (0.5 + 0.1 * scale)
    if shape == 0:
        return np.maximum(abs(u), abs(v)) < 9.6
    if shape == 1:
        return (u / 12.8) ** 2 + (v / 7.25) ** 2 < 1.0
    # At each u the outline has two heights, where sin t is the same and cos t has either sign.
    sine = np.cbrt(np.minimum(abs(u) / (0.6017 * 16.0), 1.0))
    return (abs(u) < 0.6017 * 16.0) & (height(sine, 1.0) < v) & (v < height(sine, -1.0))


def height(sine: NDArray[np.float64], sign: float) -> NDArray[np.float64]:
    t = np.arctan2(sine, sign * np.sqrt(1.0 - sine**2))
    result: NDArray[np.float64] = (
        -0.6623 * (13.0 * np.cos(t) - 5.0 * np.cos(2.0 * t) - 2.0 * np.cos(3.0 * t) - np.cos(4.0 * t)) - 1.456
    )
    return result


# What is drawn.


@pytest.mark.parametrize("side", SIDES)
def test_drawing_agrees_with_the_formulas(side: int) -> None:
    """At every pixel that is not within a thousandth of an outline; few are."""
    factors = some_factors(600, seed=side)
    axis = (np.arange(side) + 0.5) * 64.0 / side
    x, y = np.meshgrid(axis, axis)
    drawn = sprites.draw(factors, side)
    assert drawn.shape == (600, 1, side, side)
    assert drawn.dtype == torch.uint8
    doubtful = 0
    for image, each in zip(drawn[:, 0].numpy().astype(bool), factors.tolist(), strict=True):
        nearby = [inside(each, x + dx, y + dy) for dx in (-1e-3, 1e-3) for dy in (-1e-3, 1e-3)]
        certain = np.all(nearby, axis=0) | ~np.any(nearby, axis=0)
        np.testing.assert_array_equal(image[certain], nearby[0][certain])
        doubtful += (~certain).sum()
    assert doubtful < 1e-4 * drawn.numel()


@pytest.mark.parametrize("shape", range(3))
def test_areas_are_those_of_the_outlines(shape: int) -> None:
    """On average over positions and orientations a pixel's centre lies inside as often as the pixel's points do."""
    for scale in (0, 5):
        factors = some_factors(4000)
        factors[:, 0], factors[:, 1] = shape, scale
        area = sprites.draw(factors).double().sum((1, 2, 3))
        error = area.std().item() / math.sqrt(4000)
        assert area.mean().item() == pytest.approx(AREAS[shape] * (0.5 + 0.1 * scale) ** 2, abs=5.0 * error)


def test_outlines_lie_closer_than_the_lattice() -> None:
    """Else an edge could cross two lines and be counted once; and no line is too far out."""
    for outline in sprite_outlines.OUTLINES:
        points = outline()
        assert abs(points - np.roll(points, 1)).max() < 1.0 / sprite_outlines.PER_PIXEL
        assert abs(points).max() < 14.0


def test_sprites_move_with_their_factors() -> None:
    """x to the right, y down; an upright heart has its tip below; the last orientation is the first."""
    heart = sprites.draw(torch.tensor([[2, 5, 0, 0, 0], [2, 5, 0, 31, 0], [2, 5, 0, 0, 31], [2, 5, 39, 0, 0]]))[:, 0]
    assert torch.equal(heart[1, :, 32:], heart[0, :, :32])
    assert torch.equal(heart[2, 32:], heart[0, :32])
    assert torch.equal(heart[3], heart[0])
    rows = heart[0].sum(1).nonzero().flatten()
    widths = heart[0].sum(1)[rows]
    assert widths[-1] <= 2 < widths[: len(widths) // 2].min()
    ellipse = sprites.draw(torch.tensor([[1, 5, 0, 16, 16], [1, 5, 5, 16, 16]]))[:, 0].double()
    row, column = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    tilt = [torch.cov(torch.stack([column[e > 0], row[e > 0]])) for e in ellipse]
    assert tilt[0][0, 0] > 2.0 * tilt[0][1, 1]
    assert tilt[1][0, 1] > 10.0  # turned from the first axis to the second, which points down


def test_an_image_does_not_depend_on_its_batch(device: str) -> None:
    factors = some_factors(200)
    together = sprites.draw(factors)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    assert torch.equal(sprites.draw(factors[order]), together[order])
    assert torch.equal(torch.cat([sprites.draw(each) for each in torch.split(factors, 1)]), together)
    assert torch.equal(sprites.draw(factors.to(device)).cpu(), together)


# The grid.


def test_numbers_count_through_the_grid() -> None:
    """Shape slowest, y fastest, all of them once."""
    expected = np.stack(np.unravel_index(np.arange(math.prod(SIZES)), SIZES), axis=1)
    assert list(sprite_grid.FACTORS.values()) == SIZES
    assert sprite_grid.SIZE == 737_280
    found = sprite_grid.factors_of(torch.arange(737_280, dtype=torch.int32))
    assert found.dtype == torch.int64
    np.testing.assert_array_equal(found.numpy(), expected)


def test_splits_are_disjoint_and_complete() -> None:
    train, test = (sprite_grid.numbers(name, None, 10_000) for name in ("train", "test"))
    assert (len(train), len(test)) == (727_280, 10_000)
    assert torch.equal(torch.cat([train, test]).sort().values, torch.arange(737_280, dtype=torch.int32))
    assert torch.equal(sprite_grid.numbers("train", 500, 10_000), train[:500])
    assert torch.equal(sprite_grid.numbers("test", 500, 10_000), test)
    with pytest.raises(zoo.DataError, match="exceed 737280"):
        sprite_grid.numbers("train", 727_281, 10_000)
    with pytest.raises(zoo.DataError, match="exceed 737280"):
        sprite_grid.numbers("test", None, 737_280)


def test_batches_are_images_with_their_factors() -> None:
    data = dataset({"type": "dsprites_like", "side": 32})
    assert data.event == zoo.Event(
        "image",
        zoo.Shape(1, 32, 32),
        levels=2,
        factors={"shape": 3, "scale": 6, "orientation": 40, "x": 32, "y": 32},
    )
    examples = data.split("test")
    assert isinstance(examples, zoo.InMemory)
    assert sum(tensor.nbytes for tensor in examples.tensors.values()) == 4 * 10_000
    batch = batch_of(examples, torch.arange(300))
    assert set(batch) == {"image", "factors"}
    assert batch["factors"].dtype == torch.int64
    assert torch.equal(batch["image"], sprites.draw(batch["factors"], 32))
    assert all(len(set(column)) > 1 for column in batch["factors"].T.tolist())


def test_data_that_is_drawn_otherwise_has_another_fingerprint() -> None:
    base = {"type": "dsprites_like", "size": 100}
    nodes = [base, base | {"side": 32}, base | {"size": 99}, base | {"test_size": 9_999}]
    assert len({dataset(node).split("train").fingerprint() for node in nodes[:3]}) == 3
    assert dataset(nodes[0]).split("test").fingerprint() != dataset(nodes[3]).split("test").fingerprint()
    assert dataset(base).split("train").fingerprint() == dataset(base).split("train").fingerprint()


# The archive.

SMALL = {"shape": 3, "scale": 2, "orientation": 3, "x": 2, "y": 2}


def archive(path: Path, **changed: Any) -> Path:
    """A small file with the layout of dSprites, its pickled metadata included."""
    grid = np.stack(np.unravel_index(np.arange(72), list(SMALL.values())), axis=1)
    content = {
        "metadata": np.array({"title": "dSprites"}, dtype=object),
        "imgs": sprites.draw(torch.from_numpy(grid))[:, 0].numpy(),
        "latents_classes": np.concatenate([np.zeros((72, 1), np.int64), grid], axis=1),
        "latents_values": np.zeros((72, 6)),
    }
    kept: dict[str, Any] = {name: array for name, array in (content | changed).items() if array is not None}
    np.savez_compressed(path, **kept)
    return path


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(sprite_grid, "FACTORS", SMALL)
    monkeypatch.setattr(sprite_grid, "SIZE", 72)
    monkeypatch.setattr(dsprites_file, "SIZE", 72)
    monkeypatch.setattr(dsprites_file, "CHUNK", 50)
    return tmp_path / "small.npz"


def original(path: Path, **more: Any) -> zoo.Dataset:
    return dataset({"type": "dsprites", "path": str(path), "test_size": 10, **more})


def test_the_archive_comes_back_image_by_image(small: Path) -> None:
    data = original(archive(small))
    train, test = data.split("train"), data.split("test")
    assert (len(train), len(test)) == (62, 10)
    seen = []
    for examples in (train, test):
        assert isinstance(examples, zoo.InMemory)
        assert examples.tensors["bits"].shape[1:] == (512,)
        batch = batch_of(examples, torch.arange(len(examples)))
        assert batch["image"].dtype == torch.uint8
        assert torch.equal(batch["image"], sprites.draw(batch["factors"]))
        seen += [tuple(factors) for factors in batch["factors"].tolist()]
    assert len(set(seen)) == 72
    assert len(original(small, size=5).split("train")) == 5


def test_fingerprints_follow_the_pixels(small: Path) -> None:
    first = original(archive(small)).split("train").fingerprint()
    images = np.zeros((72, 64, 64), np.uint8)
    assert original(small).split("train").fingerprint() == first
    assert original(archive(small, imgs=images)).split("train").fingerprint() != first


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"imgs": np.zeros((71, 64, 64), np.uint8)}, r"uint8 \[71, 64, 64\], expected uint8 \[72, 64, 64\]"),
        ({"imgs": np.zeros((72, 64, 64), np.int64)}, r"int64 \[72, 64, 64\], expected uint8"),
        ({"imgs": np.full((72, 64, 64), 255, np.uint8)}, "values other than 0 and 1"),
        ({"imgs": np.full((72, 64, 64), {}, object)}, "object"),
        ({"imgs": None}, r"imgs\.npy"),
        ({"latents_classes": np.zeros((72, 6), np.int64)}, "not the grid of all factors in order"),
        ({"latents_classes": np.zeros((72, 5), np.int64)}, r"int64 \[72, 5\], expected int64 \[72, 6\]"),
        ({"latents_classes": None}, r"latents_classes\.npy"),
    ],
    ids=["short", "dtype", "grey", "objects", "no images", "order", "columns", "no factors"],
)
def test_another_archive_is_refused(small: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.DataError, match=message) as caught:
        original(archive(small, **changed)).split("train")
    assert str(small) in str(caught.value)


def test_a_coloured_grid_is_refused(small: Path) -> None:
    with np.load(archive(small)) as whole:
        classes = whole["latents_classes"] + np.array([1, 0, 0, 0, 0, 0])
    with pytest.raises(zoo.DataError, match="not the grid"):
        original(archive(small, latents_classes=classes)).split("train")


def test_damage_is_named(small: Path) -> None:
    content = archive(small).read_bytes()
    with zipfile.ZipFile(small) as opened:
        images = opened.getinfo("imgs.npy")
    middle = images.header_offset + images.compress_size // 2
    for damaged in (content[:-200], b"no archive", b"", content[:middle] + bytes(20) + content[middle + 20 :]):
        small.write_bytes(damaged)
        with pytest.raises(zoo.DataError, match=r"small\.npz is damaged"):
            original(small).split("test")


def test_a_declared_hash_is_compared(small: Path) -> None:
    found = hashlib.sha256(archive(small).read_bytes()).hexdigest()
    assert len(original(small, sha256=found).split("test")) == 10
    with pytest.raises(zoo.DataError, match=rf"has the sha256 {found}, expected {'0' * 64}"):
        original(small, sha256="0" * 64).split("test")
    with pytest.raises(zoo.SpecError, match="sha256"):
        original(small, sha256="abc")


def test_without_the_file_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZOO_DATA", str(tmp_path))
    data = dataset("dsprites")
    assert data.event == dataset("dsprites_like").event
    with pytest.raises(zoo.DataError, match=r"dsprites_ndarray_co1sh3sc6or40x32y32_64x64\.npz.*ZOO_DATA"):
        data.split("train")
