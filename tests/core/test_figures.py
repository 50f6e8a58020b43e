"""Metrics declare what they measure and which way it is better, and ``train.best`` goes by that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from zoo.data.batches import Source
from zoo.inference.evaluate import measure
from zoo.progress import listening
from zoo.registry.part import Part, example_of
from zoo.registry.registry import installed
from zoo.spec import chosen, load_spec
from zoo.spec.spec import Best
from zoo.storage.lock import held

METRICS = sorted(name for kind, name in installed().components() if kind == "metric")
FEW: Mapping[str, Mapping[str, Any]] = {
    "dci": {"trees": 2},
    "iwae": {"samples": 5},
    "ais": {"chains": 4, "temperatures": 5, "backwards": 4},
}
MODELS = (
    *("digits-classifier", "planar-energy", "realnvp-2d", "realnvp", "beta-vae", "vae"),
    *("rbm", "hopfield", "pix2pix-colour"),
)


def fitting(part: Part[zoo.Metric]) -> tuple[zoo.Model, zoo.Dataset]:
    """A small model that the metric is of, and its data."""
    for name in MODELS:
        spec = load_spec(name, small=True)
        model = zoo.build(spec).eval()
        try:
            part().check(model)
        except (ValueError, zoo.ZooError):
            continue
        return model, spec.data()
    raise AssertionError(f"no model for {part.name}")


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_gives_the_figures_that_it_declares(name: str) -> None:
    cls = installed().components()["metric", name]
    part: Part[zoo.Metric] = zoo.declare(zoo.Metric, {"type": name, **example_of(cls), **FEW.get(name, {})})
    declared = part().figures()
    model, data = fitting(part)
    examples = data.split("test")
    source = Source(examples, torch.arange(min(100, len(examples))), torch.device("cpu"))
    measured = [figure for figure in measure(model, [part], source, 0, trained_on=lambda: source) if "." not in figure]
    assert measured == list(declared)
    assert set(declared.values()) <= {"min", "max", None} and declared[measured[0]] is not None


LONG: Mapping[str, Mapping[str, Any]] = {
    "iwae": {"samples": 30, "chunk": 10},
    "elbo": {"draws": 3},
    "bits_per_dim": {"draws": 3},
    "reverse_kl": {"energy": "u1", "draws": 30, "batch": 10},
    "ood": {"data": {"type": "toy2d", "figure": "rings", "size": 64, "test_size": 32}, "batch": 8},
    "dci": {"trees": 2},
    "sap": {},
    "explicitness": {},
    "beta_vae_score": {"votes": 3000, "batch": 2},
    "factor_vae_score": {"votes": 3000, "batch": 2},
}


@pytest.mark.parametrize("name", LONG)
def test_a_long_metric_reports_how_far_it_is_within_one_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Codes of an untrained model hardly vary.
    monkeypatch.setattr(import_module("zoo.plugins.disentanglement.factor_vae"), "COLLAPSED", 0.0)
    part: Part[zoo.Metric] = zoo.declare(zoo.Metric, {"type": name, **LONG[name]})
    model, data = fitting(part)
    source = Source(data.split("test"), torch.arange(100), torch.device("cpu"))
    said: list[float] = []
    with listening(lambda done, of: said.append(done / of)):
        measure(model, [part], source, 0)
    assert len({part for part in said if 0 < part < 1}) >= 2, said


def moons(**train: Any) -> dict[str, Any]:
    settings = {"steps": 4, "batch": 8, "optimizer": {"type": "adam", "lr": 0.001}, "validation": 0.5}
    return {
        "name": "it",
        "data": {"type": "toy2d", "figure": "two_moons", "size": 40, "test_size": 20},
        "model": {"type": "vae", "latent": [2], "encoder": "mlp", "decoder": "mlp", "likelihood": "gaussian"},
        "train": settings | {"validate_every": 1} | train,
        "evaluate": ["elbo", {"type": "iwae", "samples": 5}],
    }


@pytest.mark.parametrize(
    ("best", "expected"),
    [
        ({"metric": "elbo"}, ("elbo", "max")),
        ({"metric": "iwae"}, ("nll_iwae", "min")),
        ({"metric": "nll_iwae"}, ("nll_iwae", "min")),
        ({"metric": "reconstruction"}, ("reconstruction", "min")),
        ({"metric": "elbo", "goal": "min"}, ("elbo", "min")),
        ({"metric": "kl", "goal": "max"}, ("kl", "max")),
    ],
    ids=str,
)
def test_best_is_a_figure_or_a_metric(best: dict[str, str], expected: tuple[str, str]) -> None:
    spec = load_spec(moons(best=best))
    assert spec.train.best is not None
    assert chosen(spec.train.best, spec.evaluate.metrics) == expected
    assert load_spec(spec.resolved()).train.best == spec.train.best


@pytest.mark.parametrize(
    ("best", "message"),
    [
        ({"metric": "nll_iwa"}, "is not a figure of any metric in 'evaluate'; did you mean 'nll_iwae'?"),
        ({"metric": "bits_per_dim"}, "'bits_per_dim' is not a figure of any metric in 'evaluate'; known: active"),
        ({"metric": "kl"}, "'kl' has no better direction: set 'goal: min' or 'goal: max'"),
    ],
)
def test_what_no_metric_gives_is_refused_as_the_spec_is_read(best: dict[str, str], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=r"train\.best .*") as refused:
        load_spec(moons(best=best))
    assert message in str(refused.value)


def test_the_best_weights_are_kept(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a bound that goes up and down, those of the highest."""
    values = iter([1.0, 3.0, 2.0, 0.0])

    def measured(model: Any, metrics: Any, source: Any, seed: int, **how: Any) -> dict[str, zoo.Measurement]:
        return {"elbo": zoo.Measurement(next(values, 0.0), 1)}

    monkeypatch.setattr("zoo.training.trainer.measure", measured)
    run = zoo.train(moons(best={"metric": "elbo"}), runs=tmp_path)
    from zoo.share.file import open_share

    assert open_share(run.model)[2].meta["step"] == 2


def test_a_metric_that_declares_nothing_is_asked_by_measuring(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("elbo", "iwae"):
        cls = installed().components()["metric", name]
        monkeypatch.setattr(cls, "figures", lambda self: {})
    spec = load_spec(moons(best={"metric": "loud"}))
    assert chosen(Best(metric="loud"), spec.evaluate.metrics) == ("loud", "min")
    with pytest.raises(zoo.UsageError, match=r"train\.best: no metric gave 'loud'"):
        zoo.train(spec, runs=tmp_path)


@pytest.mark.parametrize("steps", [2, None], ids=["stopped", "finished"])
def test_a_run_that_is_opened_has_the_figures_of_its_training(steps: int | None, tmp_path: Any) -> None:
    run = zoo.train(moons(log_every=1), runs=tmp_path, steps=steps)
    opened = zoo.Run(str(run.directory))
    assert opened.metrics == run.metrics and opened.metrics
    assert (opened.directory, opened.steps, opened.split) == (run.directory, run.steps, run.split)
    assert opened.seconds == pytest.approx(run.seconds, abs=1.0) and opened.seconds > 0


def test_a_run_that_was_killed_is_not_running(tmp_path: Path) -> None:
    """A kill leaves run.json as it was: the lock, which the kernel gives back, tells."""
    run = zoo.train(moons(), runs=tmp_path, steps=1)
    assert run.status == "stopped"
    file = run.directory / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"status": "running"}))
    with held(run.directory / "resolved.yaml"):
        assert zoo.Run(run.directory).status == "running"
    assert zoo.Run(run.directory).status == "killed"


def test_a_directory_that_is_no_run_is_refused(tmp_path: Any) -> None:
    with pytest.raises(zoo.UsageError, match="is not a run"):
        zoo.Run(tmp_path)
