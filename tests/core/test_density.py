"""Pictures of learned densities, beside the data: their axes, their places, and the command that draws them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner, Result

import zoo
from zoo.cli.app import app
from zoo.plot.axes import BOTTOM, LEFT, MOST_TICKS, RIGHT, TOP, framed, from_pil, ticks, to_pil
from zoo.plot.density import density_picture, density_problem
from zoo.plot.histogram import HEIGHT, WIDTH, chart, histogram
from zoo.plot.images import MAP, picture

PANEL = LEFT + MAP + RIGHT


class Normals(zoo.Model, zoo.Scores, zoo.Samples):
    """Independent normals of one scale."""

    exact = True

    def __init__(self, *mean: float, scale: float = 1.0) -> None:
        super().__init__(zoo.Event("x", zoo.Shape(len(mean))))
        self.mean, self.scale = torch.tensor(mean), scale

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        loss = -self.log_prob(batch["x"]).mean()
        return zoo.Terms(loss, {"nll": loss})

    def log_prob(self, x: Tensor, context: zoo.Condition | None = None) -> Tensor:
        z = (x - self.mean) / self.scale
        return -(0.5 * z.square() + math.log(self.scale) + 0.5 * math.log(2.0 * math.pi)).sum(1)

    def sample(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> Tensor:
        return self.mean + temperature * self.scale * torch.randn(n, len(self.mean))


def _ink(image: Tensor) -> Tensor:
    return 255 - image.double().mean(0)


# Axes.


@pytest.mark.parametrize("low", [-3.7, 0.0, 1234.5])
@pytest.mark.parametrize("span", [1e-6, 0.3, 1.0, 7.0, 40.0, 99.0, 1e5])
def test_ticks_are_few_round_numbers_of_the_interval(low: float, span: float) -> None:
    values = ticks(low, low + span)
    assert 2 <= len(values) <= MOST_TICKS + 1
    assert all(low - 1e-9 * span <= value <= low + span * (1 + 1e-9) for value in values)
    steps = np.diff(values)
    assert steps == pytest.approx(steps[0], rel=1e-6)
    mantissa = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-6)
    assert min(abs(mantissa - round_) for round_ in (1, 2, 5, 10)) < 1e-3


@pytest.mark.parametrize("interval", [(1.0, 1.0), (2.0, 1.0), (0.0, math.inf), (math.nan, 1.0)])
def test_there_are_no_ticks_of_nothing(interval: tuple[float, float]) -> None:
    assert ticks(*interval) == []


def test_axes_leave_the_picture_as_it_is() -> None:
    image = torch.randint(0, 256, (3, 50, 80), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    drawn = framed(image, (0.0, 1.0), (0.0, 1.0), "a title")
    assert drawn.shape == (3, TOP + 50 + BOTTOM, LEFT + 80 + RIGHT)
    assert torch.equal(drawn[:, TOP : TOP + 50, LEFT : LEFT + 80], image)
    for side in (drawn[:, :TOP, LEFT:-RIGHT], drawn[:, -BOTTOM + 6 :, :], drawn[:, :, : LEFT - 6]):
        assert _ink(side).max() > 100  # the title and both axes' numbers
    assert torch.equal(from_pil(to_pil(drawn)), drawn)


# On the line.


def test_histogram_is_a_density() -> None:
    x = torch.randn(5000, 1, generator=torch.Generator().manual_seed(0))
    bars = histogram(x, (-2.0, 2.0))
    share = float((x.abs() <= 2.0).double().mean())
    assert float(bars.sum()) * 4.0 / len(bars) == pytest.approx(share)


def test_curve_is_over_its_bars() -> None:
    """Where there is density there are bars below a curve, and nothing above it."""
    torch.manual_seed(0)
    data = {"x": torch.randn(200_000, 1)}
    drawn = density_picture(Normals(0.0), 10, 1.0, data)
    assert drawn.shape == (3, TOP + HEIGHT + BOTTOM, LEFT + WIDTH + RIGHT)
    ink = _ink(drawn[:, TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH])
    column = ink[:, WIDTH // 2]
    curve = int(column.argmax())
    assert column[: curve - 20].max() == 0
    assert column[curve + 40 :].min() > 20  # bars, down to the axis
    assert int(ink[:, WIDTH // 4].argmax()) > curve
    assert ink[:, WIDTH // 4].max() > 100


def test_curve_alone() -> None:
    drawn = density_picture(Normals(3.0, scale=0.5), 10, 1.0)
    ink = _ink(drawn[:, TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH])
    assert 0 < float((ink > 20).double().mean()) < 0.05
    peak = int(ink.argmax(0).min())
    assert peak < 0.15 * HEIGHT


def test_what_is_not_finite_is_left_out() -> None:
    p = torch.tensor([0.1, float("nan"), float("inf"), 0.2])
    assert chart((0.0, 1.0), "", curve=p, data=torch.tensor([[0.5], [float("nan")]])).shape[0] == 3


def test_draws_of_one_number_have_a_picture() -> None:
    event = zoo.Event("x", zoo.Shape(1))
    assert picture(torch.randn(100, 1), event).shape == (3, TOP + HEIGHT + BOTTOM, LEFT + WIDTH + RIGHT)


# In the plane.


def test_data_is_left_and_density_right_in_one_frame() -> None:
    """A model beside its data: the same place is dark in both panels, at the point that the axes say."""
    torch.manual_seed(0)
    far = torch.tensor([[-4.0, -4.0], [4.0, 4.0]]).repeat(100, 1)
    data = {"x": torch.cat([torch.tensor([1.0, 2.0]) + 0.3 * torch.randn(2000, 2), far])}
    drawn = density_picture(Normals(1.0, 2.0, scale=0.3), 10, 1.0, data)
    assert drawn.shape == (3, TOP + MAP + BOTTOM, 2 * PANEL)
    half = 0.6 * 8.0  # the frame is wider than the data by a fifth
    for left in (LEFT, PANEL + LEFT):
        ink = _ink(drawn[:, TOP : TOP + MAP, left : left + MAP])
        rows, columns = torch.meshgrid(torch.arange(MAP), torch.arange(MAP), indexing="ij")
        dark = ink > 150
        x = (float(columns[dark].double().mean()) + 0.5) / MAP * 2 * half - half
        y = half - (float(rows[dark].double().mean()) + 0.5) / MAP * 2 * half
        assert x == pytest.approx(1.0, abs=0.15)
        assert y == pytest.approx(2.0, abs=0.15)


def test_density_that_is_not_finite_everywhere_is_drawn() -> None:
    class Broken(Normals):
        def log_prob(self, x: Tensor, context: zoo.Condition | None = None) -> Tensor:
            return torch.where(x[:, 0] > 0, super().log_prob(x), torch.nan)

    torch.manual_seed(0)
    ink = _ink(density_picture(Broken(0.0, 0.0), 10, 1.0)[:, TOP : TOP + MAP, LEFT : LEFT + MAP])
    assert ink[:, : MAP // 2 - 40].max() == 0
    assert ink[:, MAP // 2 + 40 :].max() > 100


class Mute(zoo.Model):
    """A model that neither scores nor samples."""

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        return zoo.Terms(torch.zeros(()), {})


def conditional() -> zoo.Model:
    model = Normals(0.0, 0.0)
    model.conditioned_on = "label"
    return model


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (Mute(zoo.Event("x", zoo.Shape(2))), "scores and samples"),
        (Normals(0.0, 0.0, 0.0), "'x' of shape 3"),
        (conditional(), "conditioned on its label"),
    ],
    ids=["mute", "three numbers", "conditional"],
)
def test_what_has_no_picture_says_why(model: zoo.Model, problem: str) -> None:
    assert problem in (density_problem(model) or "")
    with pytest.raises(ValueError, match=problem):
        density_picture(model, 10, 1.0)


# The command, and what a run leaves.


def invoke(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("runs")
    data: dict[str, Any] = {
        "line": {"type": "mixture1d", "size": 200, "test_size": 50},
        "plane": {"type": "energy", "of": "u1", "size": 200, "test_size": 50},
    }
    found = {}
    for name, node in data.items():
        spec = {
            "name": name,
            "data": node,
            "model": {"type": "flow", "base": "standard_normal", "transforms": ["standardize", "scale"]},
            "train": {"steps": 2, "batch": 16, "optimizer": {"type": "adam", "lr": 0.01}, "sample_every": 2},
            "engine": {"compile": "off", "device": "cpu"},
        }
        found[name] = zoo.train(spec, runs=home, name="x").directory
    return found


def size(path: Path) -> tuple[int, int]:
    return Image.open(path).size


WIDE = {"line": (LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM), "plane": (2 * PANEL, TOP + MAP + BOTTOM)}


@pytest.mark.parametrize("name", WIDE)
def test_a_run_leaves_its_density(name: str, runs: dict[str, Path]) -> None:
    assert {path.name for path in (runs[name] / "samples").iterdir()} == {"step-2.png", "density-step-2.png"}
    assert size(runs[name] / "samples" / "density-step-2.png") == WIDE[name]


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("option", [["--density"], ["--view", "density"]], ids=lambda option: option[0])
def test_density_is_drawn_beside_a_runs_data(
    name: str, option: list[str], runs: dict[str, Path], tmp_path: Path
) -> None:
    assert invoke("sample", runs[name], *option, "-o", tmp_path / "x.png").exit_code == 0
    assert size(tmp_path / "x.png") == WIDE[name]


def test_data_of_a_file_is_read_only_where_one_names_it(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, drawn = runs["plane"] / "model.safetensors", tmp_path / "x.png"
    assert invoke("sample", file, "--density", "-o", drawn, "--set", "data.test_size=60").exit_code == 0
    assert size(drawn) == WIDE["plane"]

    def read(*args: object) -> None:
        raise AssertionError("the data of a share file is read")

    monkeypatch.setattr("zoo.inference.views.held_out", read)
    assert invoke("sample", file, "--density", "-o", drawn).exit_code == 0
    assert size(drawn) == (PANEL, TOP + MAP + BOTTOM)


def test_a_run_whose_data_is_gone_is_drawn_alone(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*args: object) -> None:
        raise zoo.DataError("the data is gone")

    monkeypatch.setattr("zoo.inference.views.held_out", gone)
    assert invoke("sample", runs["plane"], "--density", "-o", tmp_path / "x.png").exit_code == 0
    assert size(tmp_path / "x.png") == (PANEL, TOP + MAP + BOTTOM)
    chosen = invoke("sample", runs["plane"], "--density", "-o", tmp_path / "y.png", "--set", "data.seed=1")
    assert chosen.exit_code == 2
    assert "the data is gone" in chosen.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--density", "--view", "density"], "cannot be combined"),
        (["--density", "-o", "x.jpg"], "must end in .png"),
        (["--density", "--set", "data=digits"], "data 'digits' does not fit model 'flow'"),
    ],
    ids=["two pictures", "no picture", "other data"],
)
def test_what_cannot_be_drawn(options: list[str], message: str, runs: dict[str, Path], tmp_path: Path) -> None:
    result = invoke("sample", runs["plane"], "-o", tmp_path / "x.png", *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_picture_is_a_function_of_the_seed(runs: dict[str, Path], tmp_path: Path) -> None:
    file = runs["plane"] / "model.safetensors"
    for path, seed in (("a.png", 1), ("b.png", 1), ("c.png", 2)):
        assert invoke("sample", file, "--density", "-o", tmp_path / path, "--seed", seed).exit_code == 0
    one, again, other = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert one == again != other
