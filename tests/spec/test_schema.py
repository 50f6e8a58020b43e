"""The JSON Schema and ``zoo build`` give the same verdict on structure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from typer.testing import CliRunner

import zoo
from zoo.catalogue.describe import schema_of
from zoo.catalogue.docstrings import about, summary
from zoo.catalogue.queries import whole_schema
from zoo.cli.app import app
from zoo.document.yaml import read_yaml
from zoo.errors import ZooError
from zoo.registry.part import example_of
from zoo.registry.registry import installed
from zoo.spec import load_spec, shipped_specs
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
        - {type: affine_coupling, mask: channel, conditioner: {type: mlp, width: 8}}
train: {steps: 10, batch: 8, optimizer: {type: adam, lr: 1.0e-3}, schedule: cosine}
evaluate: [nll]
"""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return whole_schema()


@pytest.fixture(scope="module")
def validator(document: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(document)


def test_it_is_a_schema(document: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    names = {part.partition('"')[0] for part in text.split('"$ref": "#/$defs/')[1:]}
    assert names <= document["$defs"].keys()
    assert "x-zoo" not in text


def test_every_component_is_defined_and_described(document: dict[str, Any]) -> None:
    registry = installed()
    for (kind, name), cls in registry.components().items():
        if registry.plugin_of(cls).file is not None:  # brought by another test of this process
            continue
        definition = document["$defs"][f"{kind}.{name}"]
        assert definition["description"], name
        assert definition["properties"]["type"] == {"const": name, "description": definition["description"]}
        example = {"type": name, **example_of(cls)}
        of_name = Draft202012Validator({"$defs": document["$defs"], "$ref": f"#/$defs/{kind}.{name}"})
        assert of_name.is_valid(example), example


class Best(zoo.Settings):
    """Called like a part of the spec."""

    width: int


class Wide(zoo.Augmentation):
    """With a record among its parameters."""

    def __init__(self, *, best: Best) -> None:
        self.best = best

    def forward(self, batch: zoo.Batch) -> zoo.Batch:
        return batch


def test_records_of_one_name_are_those_of_their_components() -> None:
    """What two components call alike, or like a part of the spec, does not replace the other."""
    found = [schema_of(Wide, name) for name in ("acme.one", "acme.two")]
    names = [*found[0]["records"], *found[1]["records"], "record.Best"]
    assert len(set(names)) == len(names) == 3
    assert found[0]["definition"]["properties"]["best"]["$ref"] == f"#/$defs/{names[0]}"


@pytest.mark.parametrize("name", shipped_specs())
def test_shipped_specs_are_valid(name: str, validator: Draft202012Validator) -> None:
    path = shipped_specs()[name]
    validator.validate(read_yaml(path.read_text(), str(path)))
    validator.validate(read_merged(path))
    validator.validate(load_spec(name).resolved())


SOUND: dict[str, tuple[str, str]] = {
    "as it is": ("", ""),
    "bare dataset": ("{type: toy2d, figure: two_moons}", "digits"),
    "whole number": ("lr: 1.0e-3", "lr: 1"),
    "no schedule": ("schedule: cosine", "schedule: null"),
    "group": ("lr: 1.0e-3", "lr: 1.0e-3, groups: [{match: '*.weight', lr: 0.1}]"),
    "repeat in repeat": ("repeat: 2", "repeat: 2\n      of: [{repeat: 2, of: [act_norm]}]\n    - repeat: 1"),
    "published": ("evaluate: [nll]", "evaluate: [nll]\npublished: [{metric: nll, value: 1.2, source: here}]"),
    "metrics and batch": ("evaluate: [nll]", "evaluate: {metrics: [{repeat: 2, of: [nll]}], batch: 7}"),
    "batch alone": ("evaluate: [nll]", "evaluate: {batch: 7}"),
    "batch of draws": ("evaluate: [nll]", "evaluate: [nll]\nsample: {batch: 7}"),
    "small": ("evaluate: [nll]", "evaluate: [nll]\nsmall: {train.steps: 2}"),
}
BROKEN: dict[str, tuple[str, str]] = {
    "unknown key": ("evaluate:", "evaluation:"),
    "unknown key of train": ("steps: 10", "steps: 10, step: 3"),
    "unknown parameter": ("width: 8", "widht: 8"),
    "unknown parameter in repeat": ("mask: channel", "mask: channel, maks: channel"),
    "unknown component": ("type: mlp", "type: mpl"),
    "unknown bare component": ("base: standard_normal", "base: gaussian"),
    "component of another kind": ("base: standard_normal", "base: mlp"),
    "bare name of what needs parameters": ("{type: toy2d, figure: two_moons}", "toy2d"),
    "no type": ("{type: mlp, width: 8}", "{width: 8}"),
    "text for a number": ("width: 8", "width: '8'"),
    "boolean for a number": ("width: 8", "width: true"),
    "fraction for a whole number": ("width: 8", "width: 8.5"),
    "number for a component": ("base: standard_normal", "base: 3"),
    "nothing for a component": ("base: standard_normal", "base: null"),
    "bound": ("width: 8", "width: 0"),
    "bound of the optimizer": ("lr: 1.0e-3", "lr: -1.0e-3"),
    "choice": ("figure: two_moons", "figure: moons"),
    "no model": ("model:", "mdoel:"),
    "no steps": ("steps: 10, ", ""),
    "missing parameter": (", conditioner: {type: mlp, width: 8}", ""),
    "no list": ("evaluate: [nll]", "evaluate: nll"),
    "no list of metrics": ("evaluate: [nll]", "evaluate: {metrics: nll}"),
    "unknown metric in full": ("evaluate: [nll]", "evaluate: {metrics: [nil]}"),
    "unknown key of evaluate": ("evaluate: [nll]", "evaluate: {metrics: [nll], bach: 7}"),
    "bound of the batch": ("evaluate: [nll]", "evaluate: {metrics: [nll], batch: 0}"),
    "bound of the batch of draws": ("evaluate: [nll]", "evaluate: [nll]\nsample: {batch: 0}"),
    "no mapping": ("evaluate: [nll]", "evaluate: [nll]\nengine: cpu"),
    "negative repeat": ("repeat: 2", "repeat: -1"),
    "repeat without of": ("repeat: 2\n      of:", "repeat: 2\n      off:"),
    "repeat with more": ("repeat: 2", "repeat: 2\n      times: 3"),
    "empty list": ("evaluate: [nll]", "evaluate: [nll]\nplugins: {}"),
    "bad name": ("name: moons", "name: ../moons"),
    "name of a number": ("name: moons", "name: 3"),
    "record without source": ("evaluate: [nll]", "evaluate: [nll]\npublished: [{metric: nll, value: 1.2}]"),
    "group without match": ("lr: 1.0e-3", "lr: 1.0e-3, groups: [{lr: 0.1}]"),
    "precision": ("evaluate: [nll]", "evaluate: [nll]\nengine: {precision: fp8}"),
    "extends no text": ("evaluate: [nll]", "evaluate: [nll]\nextends: 3"),
}


@pytest.mark.parametrize("change", SOUND.values(), ids=SOUND)
def test_sound_to_both(change: tuple[str, str], validator: Draft202012Validator, tmp_path: Path) -> None:
    text = PLANE.replace(*change) if change[0] else PLANE
    (tmp_path / "x.yaml").write_text(text)
    validator.validate(read_yaml(text, "x.yaml"))
    load_spec(tmp_path / "x.yaml")


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_broken_to_both(change: tuple[str, str], validator: Draft202012Validator, tmp_path: Path) -> None:
    assert change[0] in PLANE
    text = PLANE.replace(*change)
    (tmp_path / "x.yaml").write_text(text)
    assert not validator.is_valid(read_yaml(text, "x.yaml"))
    with pytest.raises(ZooError):
        load_spec(tmp_path / "x.yaml")


def test_a_complaint_is_about_the_component_that_is_meant(validator: Draft202012Validator) -> None:
    node = yaml.safe_load(PLANE.replace("width: 8", "widht: 8"))
    messages = [error.message for error in validator.iter_errors(node)]
    assert messages == ["Additional properties are not allowed ('widht' was unexpected)"]
    for form in ("[{type: nll, drws: 2}]", "{metrics: [{type: nll, drws: 2}]}"):
        node = yaml.safe_load(PLANE.replace("evaluate: [nll]", f"evaluate: {form}"))
        messages = [error.message for error in validator.iter_errors(node)]
        assert messages == ["Additional properties are not allowed ('drws' was unexpected)"]


def test_a_name_is_offered_with_what_it_is(document: dict[str, Any]) -> None:
    bare, mapping = document["$defs"]["mask"]["anyOf"]
    for offer in (bare, mapping["properties"]["type"]):
        told = dict(zip(offer["enum"], offer["enumDescriptions"], strict=True))
        assert told["checkerboard"] == document["$defs"]["mask.checkerboard"]["description"]
    assert document["$defs"]["mask"]["description"] == summary(zoo.Mask)


def test_a_parameter_is_described_as_its_docstring_does(document: dict[str, Any]) -> None:
    parameters = document["$defs"]["bijection.affine_coupling"]["properties"]
    coupling = installed().components()["bijection", "affine_coupling"]
    described = parameters["max_log_scale"]["description"]
    assert described and described == about(coupling, "max_log_scale")
    assert (parameters["max_log_scale"]["default"], parameters["max_log_scale"]["exclusiveMinimum"]) == (2.0, 0)
    inputs = document["$defs"]["model.autoregressive"]["properties"]["inputs"]
    assert inputs["default"] == {"type": "centred"} and inputs["$ref"] == "#/$defs/inputs"


@pytest.mark.parametrize("record", ["Train", "Engine", "Evaluate", "Sample", "Spec"])
def test_every_key_of_a_spec_is_described(record: str, document: dict[str, Any]) -> None:
    keys = document["else"] if record == "Spec" else document["$defs"][f"record.{record}"]
    keys = keys["else"] if record == "Evaluate" else keys
    described = {key for key, value in keys["properties"].items() if value.get("description")}
    told = {"batch", "steps", "device", "precision", "n", "name", "data", "model", "train"} & keys["properties"].keys()
    assert told and told <= described


def test_what_is_changed_is_checked_as_well(validator: Draft202012Validator) -> None:
    base = {"extends": "realnvp-2d"}
    assert validator.is_valid(base | {"train": {"ema": 0.9, "optimizer": {"type": "sgd", "lr": 1}}})
    assert validator.is_valid(base | {"data": "toy2d", "model": {"base": {"type": "logistic"}}})
    wrong: list[dict[str, Any]] = [
        {"train": {"emma": 0.9}},
        {"train": {"ema": 2}},
        {"train": {"optimizer": {"type": "sgd", "beta": 1}}},
        {"model": {"type": "flow", "base": "gaussian"}},
        {"model": {"type": "flow", "transforms": [{"type": "affine_coupling"}]}},  # items of lists are whole
    ]
    assert [change for change in wrong if validator.is_valid(base | change)] == []


def test_what_extends_needs_not_repeat(validator: Draft202012Validator) -> None:
    assert validator.is_valid({"extends": "realnvp-2d", "name": "mine"})
    assert validator.is_valid({"extends": "realnvp-2d", "name": "mine", "train": {"optimizer": {"lr": 3.0}}})
    assert validator.is_valid({"extends": "realnvp-2d"})
    assert not validator.is_valid({"extends": "realnvp-2d", "modle": {}})
    assert not validator.is_valid({"name": "mine"})


def test_a_file_is_told_as_one_object(tmp_path: Path) -> None:
    file = tmp_path / "zoo.schema.json"
    result = CliRunner().invoke(app, ["schema", "-o", str(file), "--json"])
    assert json.loads(result.stdout) == {"output": str(file)}
    assert json.loads(file.read_text())["properties"]["model"]
