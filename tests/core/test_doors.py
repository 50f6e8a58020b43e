"""Whoever brings a model and data together is refused data that the model is not of, before anything is computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import zoo
from zoo.assembly.build import event_of, require_data_of
from zoo.cli.app import app
from zoo.data.batches import held_out
from zoo.inference.evaluate import measure
from zoo.registry.part import part_of
from zoo.registry.registry import installed
from zoo.share.file import export
from zoo.spec import InitFrom
from zoo.training.initialization import Sources

MOONS = {"type": "toy2d", "figure": "two_moons", "size": 40, "test_size": 20}
BITS = {"type": "binarised", "of": "digits", "how": "threshold"}
VAE = {"type": "vae", "latent": [2], "encoder": "mlp", "decoder": "mlp", "likelihood": "bernoulli"}
FLOW = {"type": "flow", "base": "standard_normal", "transforms": ["act_norm"]}
CLASSIFIER = {"type": "classifier", "encoder": "mlp", "features": 4}
TABLE = {"type": "table", "train": "rows.npy", "dims": 1}
DOORS = {
    "evaluate": ["evaluate"],
    "encode": ["encode", "-o", "out.npy"],
    "view": ["sample", "--view", "reconstruct", "-o", "out.png"],
    "density": ["sample", "--density", "-o", "out.png"],
}
CASES = [
    (FLOW, MOONS, {"type": "mixture1d"}, "different name and shape", ["evaluate", "encode", "density"]),
    (FLOW, MOONS, TABLE, "different name and shape", ["evaluate", "encode", "density"]),
    (VAE, BITS, "digits", "different levels", ["evaluate", "encode", "view"]),
]


def spec_of(model: Mapping[str, Any], data: Any, *metrics: str) -> dict[str, Any]:
    train = {"steps": 1, "batch": 4, "optimizer": {"type": "adam", "lr": 1e-3}}
    return {"name": "it", "data": data, "model": model, "train": train, "evaluate": list(metrics)}


def shared(folder: Path, model: Mapping[str, Any], data: Any, *metrics: str) -> Path:
    """A share file of a model with the weights that its seed gives."""
    spec = zoo.load_spec(spec_of(model, data, *metrics))
    return export(folder / "it.safetensors", spec, zoo.build(spec).eval(), step=0, data=None)


@pytest.mark.parametrize(
    ("door", "model", "data", "other", "message"),
    [(door, *case) for *case, doors in CASES for door in doors],
)
def test_other_data_is_refused(
    door: str, model: Mapping[str, Any], data: Any, other: Any, message: str, tmp_path: Path
) -> None:
    file = shared(tmp_path, model, data, "nll" if model is FLOW else "elbo")
    command, *options = DOORS[door]
    options = [str(tmp_path / option) if option.startswith("out.") else option for option in options]
    result = CliRunner().invoke(app, [command, str(file), *options, "--set", f"data={other}", "--device", "cpu"])
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    # Both sides in full.
    for side in (zoo.declare(zoo.Dataset, data), zoo.declare(zoo.Dataset, other)):
        assert str(side().event) in result.stderr
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("out.")]


@pytest.mark.parametrize(
    ("model", "changes", "metric", "message"),
    [
        (VAE, {"factors": {"size": 3}}, "mig", "metric 'mig' needs the factors of each example, and data 'binarised'"),
        (CLASSIFIER, {"classes": 5}, "accuracy", "different classes"),
    ],
    ids=["factors", "classes"],
)
def test_what_a_metric_needs_is_compared_too(
    model: Mapping[str, Any], changes: Mapping[str, Any], metric: str, message: str, tmp_path: Path
) -> None:
    spec = zoo.load_spec(spec_of(model, BITS))
    trained = zoo.declare(zoo.Model, model)(dataclasses.replace(event_of(spec), **changes))
    require_data_of(trained, spec)
    with pytest.raises(zoo.UsageError, match=message):
        require_data_of(trained, spec, [zoo.declare(zoo.Metric, metric)])


def test_a_model_starts_from_one_of_the_same_data(tmp_path: Path) -> None:
    file = str(shared(tmp_path, VAE | {"likelihood": "discretized_logistic"}, "digits"))
    spec = zoo.load_spec(spec_of(VAE | {"likelihood": "discretized_logistic"}, BITS) | {"init_from": file})
    with pytest.raises(zoo.UsageError, match="different levels"):
        Sources(spec).fill(zoo.build(spec))
    named = spec.model_copy(update={"init_from": InitFrom(file=file, match="encoder.*")})
    Sources(named).fill(zoo.build(named))


class Undeclared(zoo.Metric):
    """Does not say that it needs labels."""

    def check(self, model: zoo.Model) -> None: ...

    def measure(self, model: zoo.Model, batches: Iterable[zoo.Batch]) -> Mapping[str, zoo.Measurement]:
        return {"labels": zoo.Measurement(sum(float(batch["label"].sum()) for batch in batches), 1)}


def test_a_metric_that_does_not_declare_its_needs_is_refused_in_a_sentence() -> None:
    metric = part_of(installed(), zoo.component("undeclared")(Undeclared), "undeclared", {})
    data = zoo.declare(zoo.Dataset, MOONS)()
    model = zoo.declare(zoo.Model, FLOW)(data.event)
    with pytest.raises(zoo.UsageError, match="metric 'undeclared' needs the label of each example"):
        measure(model, [metric], held_out(data, torch.device("cpu")), 0)
