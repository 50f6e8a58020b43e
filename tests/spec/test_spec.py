"""Specs: what extends, --set, repeat and small make of them, and what survives being written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import zoo
from zoo.document.yaml import write_yaml
from zoo.errors import SpecError, UsageError
from zoo.spec import Spec, find_spec, load_spec, shipped_specs
from zoo.spec.load import read_merged

PLANE = """\
name: moons
data: {type: toy2d, figure: two_moons}
model:
  type: flow
  base: standard_normal
  transforms:
    - act_norm
    - repeat: 2
      of:
        - {type: affine_coupling, mask: channel, conditioner: &net {type: mlp, width: 8}}
        - {type: affine_coupling, mask: {type: channel, swap: true}, conditioner: *net}
train: {steps: 10, batch: 8, optimizer: {type: adam, lr: 1e-3}, schedule: {type: cosine, warmup: 2}}
evaluate: [nll]
small: {train.steps: 2, model.transforms.1.repeat: 1}
"""


@pytest.fixture
def plane(tmp_path: Path) -> Path:
    path = tmp_path / "plane.yaml"
    path.write_text(PLANE)
    return path


def _transforms(spec: Spec) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = spec.model.resolved()["transforms"]
    return found


def test_repeat_unrolls_in_order(plane: Path) -> None:
    swaps = [node.get("mask", {}).get("swap") for node in _transforms(load_spec(plane))]
    assert swaps == [None, False, True, False, True]


def test_nested_repeat_and_none(plane: Path) -> None:
    value = "[{repeat: 2, of: [act_norm, {repeat: 3, of: [batch_norm]}]}, {repeat: 0, of: [squeeze]}]"
    names = [node["type"] for node in _transforms(load_spec(plane, [f"model.transforms={value}"]))]
    assert names == (["act_norm"] + 3 * ["batch_norm"]) * 2


def test_repeat_within_a_part(plane: Path) -> None:
    spec = load_spec(plane, ["model.transforms=[{type: chain, of: [{repeat: 2, of: [act_norm]}]}]"])
    assert [node["type"] for node in _transforms(spec)[0]["of"]] == ["act_norm", "act_norm"]


def test_small_comes_before_set(plane: Path) -> None:
    assert load_spec(plane).train.steps == 10
    small = load_spec(plane, small=True)
    assert (small.train.steps, len(_transforms(small))) == (2, 3)
    assert load_spec(plane, ["train.steps=5"], small=True).train.steps == 5


def test_small_is_asked_of_those_that_have_it(plane: Path) -> None:
    plane.write_text(PLANE.partition("small:")[0])
    with pytest.raises(SpecError, match="has no small version"):
        load_spec(plane, small=True)


@pytest.mark.parametrize("name", shipped_specs())
def test_shipped_specs_have_a_small_version(name: str) -> None:
    assert load_spec(name).train.steps > load_spec(name, small=True).train.steps


SETS: list[tuple[str, str, Any]] = [
    ("train.steps=7", "train.steps", 7),
    ("train.steps = 7", "train.steps", 7),
    ("train.clip=1e-1", "train.clip", 0.1),
    ("train.schedule=null", "train.schedule", None),
    ("train.schedule.warmup=3", "train.schedule.warmup", 3),
    ("train.schedule.type=linear", "train.schedule.warmup", 0),
    ("train.schedule.type=cosine", "train.schedule.warmup", 2),
    ("train.schedule=cosine", "train.schedule.warmup", 2),
    ("train.schedule={warmup: 4}", "train.schedule.warmup", 4),
    ("data.noise=0.2", "data.noise", 0.2),
    ("model.transforms.1.of.0.conditioner.width=4", "model.transforms.1.conditioner.width", 4),
    ("model.transforms.1.of.1.mask.swap=false", "model.transforms.2.mask.swap", False),
    ("model.transforms.0=batch_norm", "model.transforms.0.type", "batch_norm"),
    ("model.base=logistic", "model.base.type", "logistic"),
    ("evaluate.0.draws=3", "evaluate.0.draws", 3),
    ("evaluate=[]", "evaluate", []),
    ("description='a=b: c'", "description", "a=b: c"),
    ("engine.precision=bf16", "engine.precision", "bf16"),
    ("sample.n=3", "sample.n", 3),
]


@pytest.mark.parametrize(("assignment", "path", "value"), SETS, ids=[case[0] for case in SETS])
def test_set(assignment: str, path: str, value: Any, plane: Path) -> None:
    found: Any = load_spec(plane, [assignment]).resolved()
    for key in path.split("."):
        found = found[int(key) if isinstance(found, list) else key]
    assert found == value


def test_an_alias_is_a_copy(plane: Path) -> None:
    spec = load_spec(plane, ["model.transforms.1.of.0.conditioner.width=4"])
    assert [node["conditioner"]["width"] for node in _transforms(spec)[1:3]] == [4, 8]


def test_later_sets_win(plane: Path) -> None:
    assert load_spec(plane, ["train.steps=3", "train.steps=4"]).train.steps == 4


def test_another_type_starts_afresh_and_says_so(plane: Path) -> None:
    heard: list[str] = []
    spec = load_spec(plane, ["train.optimizer={type: sgd, lr: 1}"], say=heard.append)
    assert spec.train.optimizer.name == "sgd"
    assert heard == ["note: train.optimizer is now 'sgd': the parameters of 'adam' are dropped ('lr')"]
    heard.clear()
    load_spec(plane, ["train.optimizer={type: adam, lr: 1}"], say=heard.append)
    load_spec(plane, ["model.base=logistic"], say=heard.append)
    assert heard == []


def test_extends_merges_mappings_and_replaces_lists(plane: Path) -> None:
    child = plane.with_name("child.yaml")
    child.write_text("extends: plane.yaml\nname: kid\ntrain: {steps: 3}\nmodel: {transforms: [act_norm]}\n")
    spec = load_spec(child)
    assert (spec.name, spec.train.steps, spec.train.batch) == ("kid", 3, 8)
    assert [node["type"] for node in _transforms(spec)] == ["act_norm"]


def test_the_text_of_a_spec_is_the_one_that_was_read(plane: Path) -> None:
    child = plane.parent / "child.yaml"
    child.write_text(f"extends: {plane.name}\nname: child\n")
    specs = [(path, load_spec(path, ["train.seed=1"])) for path in (plane, child)]
    for path, spec in specs:
        before = path.read_text()
        path.write_text("edited meanwhile")
        assert spec.text == before
    assert load_spec(specs[0][1].resolved()).text is None


def test_extends_is_relative_to_the_file_and_knows_shipped_names(plane: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = plane.parent / "deep"
    folder.mkdir()
    (folder / "child.yaml").write_text("extends: ../plane.yaml\nname: kid\n")
    (folder / "grandchild.yaml").write_text("extends: child.yaml\nname: grandkid\n")
    (folder / "of-the-zoo.yaml").write_text("extends: realnvp-2d\nname: mine\n")
    monkeypatch.chdir("/")
    assert load_spec(folder / "grandchild.yaml").data.name == "toy2d"
    assert load_spec(folder / "of-the-zoo.yaml").resolved() == load_spec("realnvp-2d", ["name=mine"]).resolved()


def test_extends_too_often(tmp_path: Path) -> None:
    for i in range(20):
        (tmp_path / f"{i}.yaml").write_text(f"extends: {i + 1}.yaml\n")
    (tmp_path / "20.yaml").write_text(PLANE)
    assert read_merged(tmp_path / "5.yaml")["name"] == "moons"
    with pytest.raises(SpecError, match="extends more than 16 specs in a row"):
        read_merged(tmp_path / "0.yaml")


def test_extends_of_plain_values_is_refused() -> None:
    with pytest.raises(SpecError, match="'extends' is only allowed in a spec file"):
        load_spec({"extends": "realnvp-2d", "name": "mine"})


@pytest.mark.parametrize("name", shipped_specs())
def test_resolved_is_a_fixed_point(name: str) -> None:
    resolved = load_spec(name).resolved()
    assert load_spec(resolved).resolved() == resolved
    assert load_spec(yaml.safe_load(write_yaml(resolved))).resolved() == resolved


@pytest.mark.parametrize("name", ["1e3", "1e-3", "true", "null", "010", "0x1F", "yes"])
def test_a_name_that_looks_like_a_number_survives(name: str, plane: Path) -> None:
    spec = load_spec(plane, [f"name='{name}'"])
    assert spec.name == name
    assert load_spec(spec.resolved()).name == name


def test_plain_values_are_a_spec_and_others_are_refused(plane: Path) -> None:
    values = yaml.safe_load(PLANE.replace("1e-3", "0.001"))
    assert load_spec(values).resolved() == load_spec(plane).resolved()
    with pytest.raises(SpecError, match="a spec must contain plain values"):
        load_spec(values | {"name": object()})
    with pytest.raises(SpecError, match="'nme' is not a parameter of the spec; did you mean 'name'"):
        load_spec(values | {"nme": 3})


def test_find_spec(plane: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(plane.parent)
    assert find_spec("plane.yaml") == Path("plane.yaml")
    assert find_spec("realnvp-2d").name == "realnvp-2d.yaml"
    Path("realnvp-2d").write_text(PLANE)
    assert load_spec("realnvp-2d").name == "moons"
    for name in ("x" * 5000, "../nowhere/x", "plane.yaml/x"):
        with pytest.raises(UsageError):
            find_spec(name)


def test_parts_are_parents_first(plane: Path) -> None:
    names = [part.name for part in load_spec(plane).parts()]
    assert names[:4] == ["toy2d", "flow", "standard_normal", "act_norm"]
    assert names.count("mlp") == 4
    assert names[-1] == "nll"


def test_a_spec_is_frozen(plane: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_spec(plane).name = "other"


def test_contradictions_come_together(plane: Path) -> None:
    with pytest.raises(SpecError) as raised:
        load_spec(plane, ["train.patience=3", "train.validate_every=5", "evaluate=[]"])
    paths = [problem.path for problem in raised.value.problems]
    assert paths == ["train.patience", "train.validate_every", "train.validate_every"]


def test_weights_are_a_function_of_the_seed(plane: Path) -> None:
    first, same = (zoo.build(load_spec(plane)).state_dict() for _ in range(2))
    other = zoo.build(load_spec(plane, ["train.seed=1"])).state_dict()
    weights = "transforms.steps.1.net.body.0.weight"
    name = weights if weights in first else next(k for k, v in first.items() if v.dim() == 2 and v.abs().sum() > 0)
    assert first[name].equal(same[name])
    assert not first[name].equal(other[name])
