"""Where a run starts: weights of another file, parts that stay as they are; and steps of several batches."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from run_equality import assert_same_run
from safetensors.torch import load_file

import zoo
from zoo.assembly import build as assembly
from zoo.document.yaml import write_yaml
from zoo.spec import load_spec

COUPLING = {"type": "affine_coupling", "mask": "channel", "conditioner": {"type": "mlp", "width": 4}}
FIRST = "transforms.of.0.*"


def spec(transforms: list[Any], **more: Any) -> zoo.Spec:
    train = {"steps": 4, "batch": 8, "optimizer": {"type": "sgd", "lr": 0.01}, "log_every": 1, "checkpoint_every": None}
    return load_spec(
        {
            "name": "begun",
            "data": {"type": "toy2d", "figure": "two_moons", "size": 64, "test_size": 16},
            "model": {"type": "flow", "base": "standard_normal", "transforms": transforms},
            "train": train | more.pop("train", {}),
            "engine": {"compile": "off"},
            **more,
        }
    )


def state(run: zoo.Run) -> dict[str, torch.Tensor]:
    return load_file(run.model)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    return zoo.train(spec(["act_norm", COUPLING]), runs=tmp_path_factory.mktemp("first"), name="x")


def test_a_part_starts_from_a_file_and_stays(first: zoo.Run, tmp_path: Path) -> None:
    start = {"init_from": {"file": str(first.model), "match": FIRST}, "train": {"freeze": [FIRST], "seed": 3}}
    # Another coupling: the rest of the file would not fit.
    wide = COUPLING | {"conditioner": {"type": "mlp", "width": 6}}
    run = zoo.train(spec(["act_norm", wide, "act_norm"], **start), runs=tmp_path)
    before, after = state(first), state(run)
    kept = [name for name in after if name.startswith("transforms.of.0.")]
    assert kept
    assert all(torch.equal(after[name], before[name]) for name in kept)
    assert after["transforms.of.2.log_scale"].any()  # what is in no file starts from data


def test_what_is_not_frozen_moves(first: zoo.Run, tmp_path: Path) -> None:
    start = {"init_from": {"file": str(first.model), "match": FIRST}, "train": {"seed": 3}}
    before, after = state(first), state(zoo.train(spec(["act_norm", COUPLING], **start), runs=tmp_path))
    assert not torch.equal(after["transforms.of.0.log_scale"], before["transforms.of.0.log_scale"])


@pytest.mark.parametrize(
    ("transforms", "match", "told"),
    [
        (["act_norm", COUPLING], "encoder.*", r"what 'encoder\.\*' matches .* neither has a matching tensor"),
        (
            ["act_norm", "act_norm"],
            "transforms.of.1.*",
            r"is only in the model; what fits: match: 'transforms\.of\.0",
        ),
        (
            [COUPLING | {"conditioner": {"type": "mlp", "width": 5}}],
            "transforms.of.*",
            r"only in the file; no part of it fits",
        ),
    ],
)
def test_a_part_that_does_not_fit_is_refused(
    transforms: list[Any], match: str, told: str, first: zoo.Run, tmp_path: Path
) -> None:
    with pytest.raises(zoo.UsageError, match=told):
        zoo.train(spec(transforms, init_from={"file": str(first.model), "match": match}), runs=tmp_path)


def test_a_file_that_is_not_there_is_told_how_to_make(tmp_path: Path) -> None:
    told = r"init_from  run or file not found: runs/realnvp-2d/first; train it with: zoo train realnvp-2d --name first"
    with pytest.raises(zoo.UsageError, match=told):
        zoo.train(spec(["act_norm"], init_from="runs/realnvp-2d/first"), runs=tmp_path)
    with pytest.raises(zoo.UsageError, match=r"run or file not found: nowhere\.safetensors\n"):
        zoo.train(spec(["act_norm"], init_from="nowhere.safetensors"), runs=tmp_path)


def test_a_model_that_does_not_fit_is_a_mistake_of_the_spec(first: zoo.Run, tmp_path: Path) -> None:
    """The file is whole: exit 2 at the line that names it, and the patterns that fit."""
    wider = COUPLING | {"conditioner": {"type": "mlp", "width": 6}}
    file = tmp_path / "begun.yaml"
    file.write_text(write_yaml(spec(["act_norm", wider]).resolved() | {"init_from": str(first.model)}))
    line = file.read_text().splitlines().index(f"init_from: {first.model}") + 1
    told = rf"begun\.yaml:{line}:12  init_from  what '\*' matches in .* what fits: match: '{re.escape(FIRST)}'"
    with pytest.raises(zoo.SpecError, match=told) as refused:
        zoo.train(file, runs=tmp_path / "runs")
    assert refused.value.exit_code == 2
    assert not (tmp_path / "runs").exists()


def test_a_pattern_that_freezes_nothing_is_refused() -> None:
    with pytest.raises(zoo.SpecError, match=r"train\.freeze  no parameter name matches 'transfroms\.\*'"):
        assembly.check(spec(["act_norm"], train={"freeze": ["transfroms.*"]}))


def test_a_model_that_is_frozen_whole_is_refused() -> None:
    with pytest.raises(zoo.SpecError, match=r"has no trainable parameter: all that match '\*' are frozen"):
        assembly.check(spec(["act_norm"], train={"freeze": ["*"]}))


def test_several_batches_are_one_large_one(tmp_path: Path) -> None:
    """Their gradients are averaged: the loss is a mean, and this flow has no noise."""
    parts = [{**COUPLING, "conditioner": {"type": "mlp", "width": 4}}]
    whole = zoo.train(spec(parts, train={"batch": 16}), runs=tmp_path, name="whole")
    pieces = zoo.train(spec(parts, train={"accumulate": 4, "batch": 4}), runs=tmp_path, name="pieces")
    for name, tensor in state(whole).items():
        torch.testing.assert_close(state(pieces)[name], tensor, rtol=1e-5, atol=1e-6)


def test_a_step_of_several_batches_resumes(tmp_path: Path) -> None:
    net = COUPLING | {"conditioner": {"type": "mlp", "width": 4, "dropout": 0.5}}
    asked = spec(["act_norm", net], train={"accumulate": 3})
    whole = zoo.train(asked, runs=tmp_path, name="whole")
    half = zoo.train(asked, runs=tmp_path, name="half", steps=2)
    assert_same_run(zoo.resume(half.directory).directory, whole.directory)
