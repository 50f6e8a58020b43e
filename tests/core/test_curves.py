"""Curves of the weights that a loss gave its terms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import zoo
from zoo.plot.axes import LEFT, TOP
from zoo.plot.curves import HEIGHT, MOST_NAMES, WIDTH, curves, weights_in
from zoo.spec import load_spec

VAE = {"type": "vae", "latent": 2, "encoder": "mlp", "decoder": "mlp", "likelihood": "bernoulli"}


def plot(image: Tensor) -> Tensor:
    """Where there is ink between the axes, ``[H, W]``."""
    return image[:, TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH].min(0).values < 200


def middles(image: Tensor) -> Tensor:
    """How high a single curve stands in each column, from 0 at the top to 1."""
    ink = plot(image).double()
    rows = torch.arange(HEIGHT, dtype=torch.float64).unsqueeze(1)
    return ((ink * rows).sum(0) / ink.sum(0))[8:-8] / HEIGHT


def written(tmp_path: Path, rows: list[Any]) -> Path:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(row if isinstance(row, str) else f"{json.dumps(row)}\n" for row in rows))
    return path


def test_weights_are_read_from_train_rows_alone(tmp_path: Path) -> None:
    rows = [
        {"step": 1, "split": "train", "loss": 3.0, "weight.beta": 0.5, "critic.weight.gamma": 2.0},
        {"step": 1, "split": "validation", "weight.beta": 9.0, "lightweight.x": 1.0},
        {"step": 2, "split": "train", "loss": 3.0, "weight.beta": None, "overweight.x": 1.0},
        "what a kill left of a row\n",
        {"step": 3, "split": "train", "loss": 2.0, "weight.beta": 1.0},
    ]
    assert weights_in(written(tmp_path, rows)) == {"beta": [(1.0, 0.5), (3.0, 1.0)], "critic.gamma": [(1.0, 2.0)]}


def test_a_line_is_drawn_as_one() -> None:
    rising = middles(curves({"beta": [(0, 0.0), (50, 1.0), (100, 2.0)]}, "x"))
    steps = rising.diff()
    assert (steps < 0).double().mean() > 0.5
    assert rising[0] > 0.9 and rising[-1] < 0.1
    assert (rising - torch.linspace(float(rising[0]), float(rising[-1]), len(rising))).abs().max() < 0.02


def test_a_constant_is_drawn_half_way() -> None:
    assert (middles(curves({"beta": [(0, 1.0), (100, 1.0)]}, "x")) - 0.5).abs().max() < 0.02


def test_a_single_row_is_a_dot() -> None:
    ink = plot(curves({"beta": [(10, 1.0)]}, "x"))
    assert 3 <= ink.sum() < 100


def test_curves_of_many_names_have_colours_of_their_own() -> None:
    image = curves({f"kl_{i}": [(0, float(i)), (1, float(i))] for i in range(6)}, "x")
    middle = image[:, TOP : TOP + HEIGHT, LEFT + WIDTH // 2]
    inked = middle[:, middle.min(0).values < 100]
    assert len({tuple(column) for column in (inked.T // 8).tolist()}) >= 6


def test_of_very_many_names_some_are_told() -> None:
    few, many, very_many = (
        curves({f"kl_{i}": [(0, 0.0), (1, float(i))] for i in range(n)}, "x").shape
        for n in (MOST_NAMES, MOST_NAMES + 1, 300)
    )
    assert few[1] == many[1] == very_many[1]
    assert few[2] < many[2]  # "and 1 between them" is longer than a name


def test_the_same_rows_give_the_same_picture() -> None:
    series = {"a": [(0, 1.0), (3, 2.0)], "b": [(0, 2.0), (3, 1.0)]}
    assert torch.equal(curves(series, "x"), curves(series, "x"))


def tiny(weighting: dict[str, Any]) -> zoo.Spec:
    node = {
        "name": "tiny",
        "data": {"type": "binarised", "of": "digits"},
        "model": VAE | weighting,
        "train": {"steps": 3, "batch": 8, "optimizer": {"type": "adam", "lr": 0.001}, "log_every": 1},
        "engine": {"device": "cpu", "compile": "off"},
    }
    return load_spec(node)


def test_a_run_leaves_the_curves_of_its_weights(tmp_path: Path) -> None:
    annealed = tiny({"weighting": {"type": "linear_beta"}})
    one, other = (zoo.train(annealed, runs=tmp_path, name=name).directory for name in ("one", "other"))
    assert (one / "samples" / "weights.png").read_bytes() == (other / "samples" / "weights.png").read_bytes()


def test_a_weight_that_is_constant_has_no_curve(tmp_path: Path) -> None:
    done = zoo.train(tiny({}), runs=tmp_path)
    assert list(weights_in(done.directory / "metrics.jsonl")) == ["beta"]
    assert not (done.directory / "samples" / "weights.png").exists()


def test_a_run_without_weights_has_no_curves(tmp_path: Path) -> None:
    done = zoo.train(load_spec("mixture-1d", ["train.steps=2", "engine.compile='off'"], small=True), runs=tmp_path)
    assert not (done.directory / "samples" / "weights.png").exists()
