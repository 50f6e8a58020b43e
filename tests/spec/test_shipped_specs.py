"""Every shipped spec: its full size fits together without memory, its small version trains, ships and draws."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.overrides import TorchFunctionMode

import zoo
from zoo.assembly import build as assembly
from zoo.inference.sample import sample
from zoo.share.file import open_share
from zoo.spec import load_spec, shipped_specs
from zoo.training.recorder import Written

Node = dict[str, Any]
NAMES = list(shipped_specs())
ROOT = Path(__file__).parents[2]
HOME = shipped_specs()["realnvp"].parent
FEW = 100_000
"""Numbers that a check may hold in memory: tables and masks, no weights."""


class Allocations(TorchFunctionMode):
    """Counts the numbers in new tensors that have memory of their own."""

    def __init__(self) -> None:
        self.count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        made = function(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and made.device.type != "meta":
            self.count += made.numel()
        return made


@pytest.mark.parametrize("name", NAMES)
def test_full_size_fits_together_without_memory(name: str) -> None:
    spec = load_spec(name)
    with Allocations() as made:
        summary = assembly.check(spec)
    assert summary.parameters > 0
    assert summary.weights_bytes >= 4 * summary.parameters
    assert made.count < FEW


RECIPE = re.compile(r"^# .*?([\d,]+) parameters.*:\n#\n((?:#   .*\n)+)", re.M)


def recipe(name: str) -> tuple[int, Node] | None:
    """The published recipe that a spec has as a comment, and its number of parameters."""
    told = RECIPE.search(shipped_specs()[name].read_text())
    if told is None or "zoo " in told[2]:
        return None
    node = yaml.safe_load(re.sub(r"^#   ", "", told[2], flags=re.M))
    return int(told[1].replace(",", "")), node | {"train": {"steps": 1, "batch": 16, "optimizer": "adam"}}


RECIPES = [name for name in NAMES if recipe(name)]


@pytest.mark.parametrize("name", RECIPES)
def test_a_published_recipe_beside_a_spec_fits_together(name: str) -> None:
    parameters, node = recipe(name) or (0, {})
    assert assembly.check(load_spec(node | {"name": name})).parameters == parameters


def test_recipes_are_found() -> None:
    assert set(RECIPES) >= {"pixelcnn", "gated-pixelcnn", "pixelrnn-row", "pixelrnn-diagonal"}


@pytest.mark.parametrize("name", NAMES)
def test_editors_know_what_it_is_checked_against(name: str) -> None:
    path = shipped_specs()[name]
    first, *rest = path.read_text().splitlines()
    told, schema = first.split("=")
    assert told == "# yaml-language-server: $schema"
    assert (ROOT / "specs" / path.relative_to(HOME)).parent.joinpath(schema).resolve() == ROOT / "zoo.schema.json"
    assert not any("yaml-language-server" in line for line in rest)


def test_allocations_are_seen() -> None:
    spec = load_spec("realnvp")
    with Allocations() as made:
        assembly.build(spec)
    assert made.count > FEW


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_of_the_model(name: str) -> None:
    summary = assembly.check(spec := load_spec(name, small=True))
    assert summary.parameters == sum(p.numel() for p in assembly.build(spec).parameters())


@pytest.mark.parametrize("name", NAMES)
def test_small_version_trains_ships_and_draws(
    name: str, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = load_spec(name, small=True)
    spec = spec.model_copy(update={"engine": spec.engine.model_copy(update={"device": device, "compile": "off"})})
    trained: list[zoo.Model] = []
    publish = Written.publish

    def keep(journal: Written, model: zoo.Model, step: int) -> None:
        publish(journal, model, step)
        trained.append(model)

    monkeypatch.setattr(Written, "publish", keep)
    monkeypatch.setattr("zoo.training.ema.RECALIBRATION_BATCHES", 2)
    try:
        run = zoo.train(spec, runs=tmp_path, steps=2)
    except zoo.DataError as error:
        pytest.skip(str(error))
    assert all(math.isfinite(value) for value in run.metrics.values())
    loaded, again, _ = open_share(run.model)
    assert again.resolved() == spec.resolved()
    ours, theirs = trained[-1].state_dict(), loaded.to(device).state_dict()
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []
    if isinstance(loaded, zoo.Samples):
        draws = [sample(model, 3, temperature=1.0, seed=5) for model in (trained[-1], loaded)]
        assert tuple(draws[0].shape[1:]) == tuple(loaded.event.shape)
        assert torch.equal(*draws)
    if isinstance(loaded, zoo.Scores) and loaded.exact:
        batch = loaded.event.example(2, device)
        x, context = batch[loaded.event.name], loaded.given(batch)
        with torch.no_grad():
            assert torch.equal(loaded.log_prob(x, context), loaded.log_prob(x, context))
