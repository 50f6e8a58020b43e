"""Every shipped spec's small version: it trains, ships and draws, and N steps, stop, N more equal 2N bit for bit.

Each is trained once for all of these tests.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from run_equality import assert_same_run

import zoo
from zoo.assembly import build as assembly
from zoo.inference.evaluate import evaluate
from zoo.inference.sample import sample
from zoo.registry.part import parameters_of
from zoo.registry.registry import declare
from zoo.share.file import open_share, read_share
from zoo.spec import load_spec, shipped_specs
from zoo.training import api
from zoo.training.recorder import Journal

STEPS = 4


def on(device: str, spec: zoo.Spec) -> zoo.Spec:
    return spec.model_copy(update={"engine": spec.engine.model_copy(update={"device": device, "compile": "off"})})


def quick(small: zoo.Spec) -> zoo.Spec:
    """A small version for a few steps of few examples, with the pictures that it draws in its first steps."""
    metrics = [
        declare(
            zoo.Metric, part.resolved() | ({"draws": 1} if "p_draws" in parameters_of(part.cls).model_fields else {})
        )
        for part in small.evaluate.metrics
    ]
    often = {key: 2 for key in ("validate_every", "checkpoint_every") if getattr(small.train, key) is not None}
    draws = (small.train.sample_every or math.inf) <= 2
    pictures: dict[str, Any] = {"sample_every": STEPS} if draws else {"sample_every": None, "views": []}
    few: dict[str, Any] = {"batch": min(16, small.train.batch), "log_every": 1}
    train = small.train.model_copy(update=few | pictures | often)
    evaluated = small.evaluate.model_copy(update={"metrics": metrics})
    return small.model_copy(update={"train": train, "evaluate": evaluated})


@dataclass(frozen=True)
class Trained:
    """A small version that was trained, its summary before that, and the model of which its file is."""

    small: zoo.Spec
    spec: zoo.Spec
    runs: Path
    whole: zoo.Run
    summary: assembly.Summary
    model: zoo.Model


@pytest.fixture(scope="module", params=shipped_specs())
def trained(request: pytest.FixtureRequest, device: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    small = on(device, load_spec(request.param, [f"train.steps={STEPS}"], small=True))
    spec, runs = quick(small), tmp_path_factory.mktemp("shipped")
    checked: list[assembly.Summary] = []
    published: list[zoo.Model] = []
    check, publish = assembly.check, Journal.publish

    def keep(journal: Journal, model: zoo.Model, step: int) -> None:
        publish(journal, model, step)
        published.append(model)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "publish", keep)
        patch.setattr(api, "check", lambda spec: checked.append(check(spec)))
        patch.setattr("zoo.training.ema.RECALIBRATION_BATCHES", 2)
        try:
            whole = zoo.train(spec, runs=runs, name="whole")
        except zoo.DataError as error:
            pytest.skip(str(error))
    yield Trained(small, spec, runs, whole, checked[0], published[-1])
    shutil.rmtree(runs)


def test_counts_are_those_of_the_model(trained: Trained) -> None:
    assert trained.summary.parameters == sum(p.numel() for p in trained.model.parameters())


def test_figures_are_finite(trained: Trained, device: str) -> None:
    assert all(math.isfinite(value) for value in trained.whole.metrics.values())
    if trained.spec.train.validate_every is not None:
        measured = evaluate(read_share(trained.whole.model), trained.small, device)
        assert all(math.isfinite(figure.value) for figure in measured.values())


def drawn(model: zoo.Model, device: str) -> torch.Tensor:
    """Three draws by a seed; of a model that is conditioned on more than a label, under examples of the right form."""
    if {*model.conditions} <= {"label"}:
        return sample(model, 3, temperature=1.0, seed=5)
    assert isinstance(model, zoo.Samples)
    torch.manual_seed(5)
    return model.eval().sample(3, model.given(model.event.example(3, device)))


def test_it_ships_and_draws(trained: Trained, device: str) -> None:
    loaded, again, _ = open_share(trained.whole.model)
    assert again.resolved() == trained.spec.resolved()
    ours, theirs = trained.model.state_dict(), loaded.to(device).state_dict()
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []
    if isinstance(loaded, zoo.Samples):
        draws = [drawn(model, device) for model in (trained.model, loaded)]
        assert tuple(draws[0].shape[1:]) == tuple(loaded.event.shape)
        assert torch.equal(*draws)
    if isinstance(loaded, zoo.Scores) and loaded.exact:
        batch = loaded.event.example(2, device)
        x, context = batch[loaded.event.name], loaded.given(batch)
        with torch.no_grad():
            assert torch.equal(loaded.log_prob(x, context), loaded.log_prob(x, context))


def test_a_stop_changes_no_bit(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.training.ema.RECALIBRATION_BATCHES", 2)
    monkeypatch.setattr(api, "check", lambda spec: None)  # it was checked for the whole run
    half = zoo.train(trained.spec, runs=trained.runs, name="halves", steps=STEPS // 2)
    assert half.steps == STEPS // 2
    torch.manual_seed(1)
    halves = zoo.resume(half.directory)
    assert halves.steps == trained.whole.steps == STEPS
    assert halves.metrics == trained.whole.metrics
    assert_same_run(halves.directory, trained.whole.directory)
