"""Inversion error and likelihoods of other data: closed forms, and the command that asks for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner, Result

import zoo
from zoo.cli.app import app

POINT = zoo.Event("point", zoo.Shape(2))


def flow(*transforms: Any) -> Any:
    return zoo.declare(zoo.Model, {"type": "flow", "base": "standard_normal", "transforms": list(transforms)})(POINT)


def measured(metric: Any, model: Any, x: Tensor) -> dict[str, float]:
    built = zoo.declare(zoo.Metric, metric)()
    built.check(model)
    return {name: m.value for name, m in built.measure(model, [{"point": part} for part in (x[:7], x[7:])]).items()}


class Off(zoo.Bijection):
    """Shifts by one, and back by a thousandth less."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x + 1.0, x.new_zeros(x.shape[0])

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        back = z - 1.0
        back[:, 1] += 0.001 * back[:, 1]
        return back, z.new_zeros(z.shape[0])


def test_the_error_of_a_wrong_inverse_is_what_it_is_off_by() -> None:
    model = flow("act_norm")
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)).double()
    assert measured("inversion_error", model.double(), x)["inversion_error"] < 1e-12
    model.transforms.of[0] = Off(zoo.Shape(2))
    found = measured("inversion_error", model, x)
    assert found["inversion_error"] == pytest.approx(0.001 * float(x[:, 1].abs().max()))
    assert found["inversion_error_mean"] == pytest.approx(0.001 * float(x[:, 1].abs().mean()))
    assert found["inversion_error_relative"] == pytest.approx(found["inversion_error"] / float(x.abs().max()))


def test_the_share_of_pairs_is_counted_with_ties_as_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    model = flow("act_norm")
    monkeypatch.setattr(model, "log_prob", lambda x, context=None: x[:, 0])
    rings = {"type": "toy2d", "figure": "rings", "size": 8, "test_size": 50}
    theirs = zoo.declare(zoo.Dataset, rings)().split("test").read(torch.arange(50))["point"][:, 0]
    ours = torch.cat((theirs[:10], torch.linspace(-2, 2, 30)))
    by_hand = (ours[:, None] > theirs).double().mean() + 0.5 * (ours[:, None] == theirs).double().mean()
    found = measured({"type": "ood", "data": rings}, model, torch.stack((ours, ours), 1))
    assert found["ood"] == pytest.approx(float(by_hand))
    assert found["ood_nll"] == pytest.approx(-float(theirs.mean()), abs=1e-6)
    assert found["nll"] == pytest.approx(-float(ours.mean()), abs=1e-6)


def command(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    trained = command("train", "realnvp-2d", "--small", "--runs", folder, "--name", "run")
    assert trained.exit_code == 0, trained.stderr
    return folder / "realnvp-2d" / "run"


def test_both_are_asked_for_by_name(run: Path) -> None:
    other = "evaluate.ood.data={type: toy2d, figure: spirals, test_size: 100}"
    asked = command("evaluate", run, "--metric", "ood", "--metric", "inversion_error", "--set", other, "--json")
    assert asked.exit_code == 0, asked.stderr
    metrics = json.loads(asked.stdout)["metrics"]
    assert 0.0 <= metrics["ood"] <= 1.0
    assert 0.0 < metrics["inversion_error"] < 1e-3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--metric", "ood"), "'data'"),
        (
            ("--metric", "ood", "--set", "evaluate.ood.data=digits"),
            "the model has point 2, 'digits' has image 1x8x8, levels 17",
        ),
        (("--metric", "odd"), "did you mean 'ood'?"),
        (("--set", "evaluate.ood.data=digits"), "has 1 items, numbered from 0: no item 'ood'"),
    ],
)
def test_what_is_missing_or_does_not_fit_is_said(run: Path, words: tuple[str, ...], said: str) -> None:
    refused = command("evaluate", run, *words)
    assert refused.exit_code == 2
    assert said in refused.stderr
