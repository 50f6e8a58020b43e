"""Samples as pictures and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import zoo
from zoo.errors import UsageError
from zoo.plot.images import TILE, density_map, grid, grouped, picture, shades, write_png

DIGITS = zoo.Event("image", zoo.Shape(1, 8, 8), levels=17)
PLANE = zoo.Event("point", zoo.Shape(2))


def test_levels_become_shades() -> None:
    x = torch.arange(17).reshape(17, 1, 1, 1)
    assert shades(x, DIGITS).flatten().tolist() == [level / 16 for level in range(17)]


def test_a_range_becomes_shades_and_what_lies_outside_is_cut() -> None:
    event = zoo.Event("image", zoo.Shape(1, 1, 1), range=(-1.0, 1.0))
    assert shades(torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]), event).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_without_a_range_the_extremes_are_black_and_white() -> None:
    event = zoo.Event("image", zoo.Shape(1, 1, 1))
    assert shades(torch.tensor([3.0, 4.0, 5.0]), event).tolist() == [0.0, 0.5, 1.0]
    assert shades(torch.tensor([3.0, 3.0]), event).isfinite().all()


@pytest.mark.parametrize(("n", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (3, 2, 2), (5, 2, 3), (9, 3, 3)])
def test_grid_is_square_and_row_by_row(n: int, rows: int, columns: int) -> None:
    images = torch.arange(n).double().reshape(n, 1, 1, 1).expand(n, 1, 8, 8) / 20
    side = TILE + 2
    drawn = grid(images)
    assert drawn.dtype == torch.uint8
    assert drawn.shape == (3, rows * side + 2, columns * side + 2)
    for index in range(n):
        centre = drawn[:, index // columns * side + side // 2, index % columns * side + side // 2]
        assert (centre == round(index / 20 * 255)).all()
    assert (drawn[:, 0] == 255).all()


@pytest.mark.parametrize(
    ("n", "rows", "columns", "width", "height"), [(8, 8, 1, 6, 1), (64, 22, 3, 6, 1), (20, 3, 7, 1, 2)]
)
def test_groups_stay_together_near_a_square(n: int, rows: int, columns: int, width: int, height: int) -> None:
    """Groups of ``width`` by ``height`` images are in rows and columns, apart where they have several images."""
    images = torch.arange(n).double().reshape(n, 1, 1, 1, 1, 1).expand(n, height, width, 1, TILE, TILE) / n
    drawn = grouped(images)
    down, right = (side * (TILE + 2) + (10 if side > 1 else 0) for side in (height, width))
    gaps = (10 if height > 1 else 0), (10 if width > 1 else 0)
    assert drawn.shape == (3, rows * down - gaps[0] + 2, columns * right - gaps[1] + 2)
    for index in range(n):
        top, left = index // columns * down + 2, index % columns * right + 2
        group = drawn[:, top : top + height * (TILE + 2) - 2, left : left + width * (TILE + 2) - 2]
        assert set(group.flatten().tolist()) <= {round(index / n * 255), 255}
        assert (group[:, 0, 0] == round(index / n * 255)).all() and (group[:, -1, -1] == group[:, 0, 0]).all()


def test_a_caption_stands_left_of_its_group() -> None:
    """In two columns of two: only the columns with a caption have a margin, and the ink is at its group's height."""
    images = torch.zeros(4, 1, 2, 1, TILE, TILE)
    plain = grouped(images, 2)
    drawn = grouped(images, 2, captions=["", "", "low", ""])
    margin = drawn.shape[2] - plain.shape[2]
    assert margin > 0 and drawn.shape[1] == plain.shape[1]
    ink = _ink(drawn)[:, :margin].sum(1) > 0
    assert ink[TILE + 4 :].any() and not ink[: TILE + 4].any()
    rows = grouped(images.reshape(2, 2, 2, 1, TILE, TILE), 1, rows=["one", "two"])
    assert all((half[:, :20].sum() > 0) for half in _ink(rows).tensor_split(4))


def test_grid_keeps_colours_and_large_images() -> None:
    images = torch.zeros(1, 3, 64, 60)
    images[:, 0] = 1.0
    drawn = grid(images)
    assert drawn.shape == (3, 68, 64)
    assert drawn[:, 30, 30].tolist() == [255, 0, 0]


def _ink(image: Tensor) -> Tensor:
    return 255 - image.double().mean(0)


def test_map_points_up_and_right() -> None:
    torch.manual_seed(0)
    points = torch.cat([torch.randn(900, 2) * 0.1 + torch.tensor([2.0, 3.0]), torch.randn(100, 2) * 0.1])
    ink = _ink(density_map(points))
    half_y, half_x = (size // 2 for size in ink.shape)
    assert ink[:half_y, half_x:].sum() > 2 * ink[half_y:, :half_x].sum() > 0
    assert ink[:half_y, :half_x].sum() == ink[half_y:, half_x:].sum() == 0


def test_map_is_to_scale() -> None:
    points = torch.rand(20_000, 2) * torch.tensor([4.0, 1.0])
    rows, columns = (_ink(density_map(points)).sum(dim) > 0 for dim in (1, 0))
    assert 3.5 < float(columns.sum() / rows.sum()) < 4.5


@pytest.mark.parametrize(
    "points", [torch.zeros(1, 2), torch.ones(50, 2), torch.tensor([[0.0, float("nan")], [1.0, 2.0]])]
)
def test_map_of_few_points(points: Tensor) -> None:
    assert _ink(density_map(points)).sum() > 0


def test_map_of_nothing() -> None:
    with pytest.raises(UsageError, match="no finite point"):
        density_map(torch.full((5, 2), float("inf")))


@pytest.mark.parametrize("shape", [(3,), (2, 8, 8), (5, 5), (4, 8, 8)])
def test_what_has_no_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="cannot be drawn as a picture; write"):
        picture(torch.zeros(1, *shape), zoo.Event("x", zoo.Shape(*shape)))


def test_png_is_written_as_drawn(tmp_path: Path) -> None:
    image = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    write_png(image, tmp_path / "x.png")
    read = np.asarray(Image.open(tmp_path / "x.png"))
    assert read.shape == (5, 7, 3)
    assert (read == image.permute(1, 2, 0).numpy()).all()
