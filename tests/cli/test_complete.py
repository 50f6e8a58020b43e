"""Completion of images: what is hidden, what is drawn there, and what an order cannot see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

import zoo
from zoo.cli.app import app

SIDE = 48
"""Images of this side are drawn without being enlarged."""
EVENT = zoo.Event("image", zoo.Shape(1, SIDE, SIDE), levels=2, classes=3)


class Filled(zoo.Model, zoo.Completes):
    """Puts the label's parity where nothing is known, and remembers what it was told."""

    conditioned_on = "label"

    def __init__(self, event: zoo.Event = EVENT) -> None:
        super().__init__(event)
        self.told: list[zoo.Known] = []

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        raise NotImplementedError

    def complete(self, known: zoo.Known, context: zoo.Condition | None = None, temperature: float = 1.0) -> Tensor:
        assert context is not None
        self.told.append(known)
        return torch.where(known.mask, known.x, context["label"].remainder(2).reshape(-1, 1, 1, 1)).to(torch.uint8)

    def unseen(self, known: Tensor) -> Tensor:
        """Whatever is known in the last row."""
        return known[:, :, -1].flatten(1).double().mean(1)


def batch() -> dict[str, Tensor]:
    x = torch.zeros(2, *EVENT.shape, dtype=torch.uint8)
    x[:, :, : SIDE // 4] = 1  # the top quarter is white
    return {"image": x, "label": torch.tensor([0, 1])}


def tiles(picture: Tensor, row: int, columns: int = 4) -> list[Tensor]:
    """The images of one row, without a caption, as shades ``[SIDE, SIDE]``."""
    assert picture.shape[2] == columns * (SIDE + 2) + 2
    top = 2 + row * (SIDE + 2)
    lefts = [2 + column * (SIDE + 2) for column in range(columns)]
    return [picture[0, top : top + SIDE, left : left + SIDE] for left in lefts]


def drawn(model: Filled, **parameters: Any) -> Tensor:
    view: Any = zoo.declare(zoo.View, {"type": "complete", "draws": 2, **parameters})(model)
    picture: Tensor = view.draw(2, 1.0, batch())
    return picture


def test_a_row_is_an_example_what_is_left_of_it_and_what_is_drawn() -> None:
    picture = drawn(Filled(), hidden="bottom", share=0.5)
    half = SIDE // 2
    for row, label in enumerate((0, 1)):
        example, left, *completed = tiles(picture, row)
        assert torch.equal(example, 255 * batch()["image"][row, 0])
        assert torch.equal(left[:half], example[:half])
        assert (left[half:] == 255).all()
        for image in completed:
            assert torch.equal(image[:half], example[:half])
            assert (image[half:] == 255 * label).all()


@pytest.mark.parametrize(
    ("hidden", "rows", "columns"),
    [
        ("top", slice(0, 12), slice(None)),
        ("bottom", slice(36, None), slice(None)),
        ("left", slice(None), slice(0, 12)),
        ("right", slice(None), slice(36, None)),
        ("middle", slice(18, 30), slice(18, 30)),
    ],
)
def test_what_is_hidden(hidden: str, rows: slice, columns: slice) -> None:
    model = Filled()
    drawn(model, hidden=hidden, share=0.25)
    expected = torch.ones(SIDE, SIDE, dtype=torch.bool)
    expected[rows, columns] = False
    assert all(torch.equal(mask[0], expected) for mask in model.told[0].mask)


@pytest.mark.parametrize(("flip", "dims"), [("rows", [2]), ("columns", [3]), ("both", [2, 3])])
def test_a_flip_turns_the_data_around_and_back(flip: str, dims: list[int]) -> None:
    model = Filled()
    share, known = 0.5, batch()["image"]
    picture = drawn(model, hidden="top", share=share, flip=flip)
    assert torch.equal(model.told[0].x[::2], known.flip(dims))
    example, _left, *completed = tiles(picture[:, :, -4 * (SIDE + 2) - 2 :], 1)
    assert all(torch.equal(image[SIDE // 2 :], example[SIDE // 2 :]) for image in completed)
    assert all((image[: SIDE // 2] == 255).all() for image in completed)


def test_a_caption_says_what_is_not_seen() -> None:
    wide = drawn(Filled(), hidden="top").shape[2]
    assert wide > drawn(Filled(), hidden="bottom").shape[2] == 4 * (SIDE + 2) + 2
    assert drawn(Filled(), hidden="top", flip="rows").shape[2] < wide


def test_it_needs_data_and_a_model_that_completes() -> None:
    with pytest.raises(ValueError, match="needs data to complete"):
        zoo.declare(zoo.View, "complete")(Filled()).draw(2, 1.0)
    flow = zoo.build("realnvp-2d")
    with pytest.raises(zoo.SpecError, match="needs a model that completes data, but 'flow' does not"):
        zoo.declare(zoo.View, "complete")(flow)
    row = zoo.Event("row", zoo.Shape(4), levels=2)
    with pytest.raises(zoo.SpecError, match="needs images of one or three channels"):
        zoo.declare(zoo.View, "complete")(Filled(row))


def test_a_run_draws_it(tmp_path: Path) -> None:
    command = ["train", "gated-pixelcnn", "--small", "--runs", str(tmp_path), "--name", "x", "--device", "cpu"]
    done = CliRunner().invoke(app, [*command, "--set", "engine.compile=off"])
    assert done.exit_code == 0, done.output
    run = tmp_path / "gated-pixelcnn" / "x"
    (picture,) = run.glob("samples/*complete*.png")
    with Image.open(picture) as image:
        assert image.size[0] == 6 * (SIDE + 2) + 2
    output = tmp_path / "x.png"
    done = CliRunner().invoke(app, ["sample", str(run), "--view", "complete", "-n", "3", "-o", str(output)])
    assert done.exit_code == 0, done.output
    with Image.open(output) as image:
        assert image.size == (6 * (SIDE + 2) + 2, 3 * (SIDE + 2) + 2)
