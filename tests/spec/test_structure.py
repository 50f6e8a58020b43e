"""What is broken in a spec is so to editors, by the JSON Schema, and to ``zoo build``; what repairs it, to both."""

from __future__ import annotations

import copy
import json
import re
from typing import Any, NamedTuple

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from zoo.assembly import build as assembly
from zoo.catalogue.queries import whole_schema
from zoo.errors import ZooError
from zoo.spec import load_spec, shipped_specs
from zoo.spec.load import read_merged

GONE = object()
"""Stands for no value: the key is not there."""


class Case(NamedTuple):
    """A place in a shipped spec, a value that is wrong there, one that is not, and what ``zoo build`` says of it."""

    spec: str
    path: str
    wrong: Any
    right: Any
    told: str


MLP = {"type": "mlp", "width": 8}
FLOW = {"type": "flow", "base": "standard_normal", "transforms": ["act_norm"]}
TRAIN = {"steps": 1, "batch": 1, "optimizer": "adam"}
CASES = {
    "unknown key": Case("realnvp-2d", "evaluations", ["nll"], GONE, "'evaluations' is not a parameter of the spec"),
    "unknown key of a record": Case("realnvp-2d", "train.step", 3, GONE, "not a parameter of 'train'"),
    "unknown key of a record in a record": Case("realnvp-2d", "train.best.goals", "min", GONE, "'goals'"),
    "unknown parameter": Case("realnvp-2d", "data.nois", 0.1, GONE, "not a parameter of dataset 'toy2d'"),
    "unknown parameter in a repetition": Case("realnvp-2d", "model.transforms.0.of.0.maks", 1, GONE, "'maks'"),
    "unknown parameter of a part of a part": Case(
        "realnvp-2d", "model.transforms.0.of.0.conditioner.hidden", 3, GONE, "not a parameter of conditioner 'mlp'"
    ),
    "unknown key of a group": Case(
        "realnvp-2d", "train.optimizer.groups", [{"match": "*", "rate": 1}], [{"match": "*"}], "'rate'"
    ),
    "key of a repetition": Case("realnvp-2d", "model.transforms.0.times", 2, GONE, "unknown key 'times'"),
    "unknown name": Case("realnvp-2d", "model.base", "norman", "logistic", "unknown distribution 'norman'"),
    "unknown name of a mapping": Case("vae", "model.encoder.type", "mpl", "mlp", "unknown encoder 'mpl'"),
    "unknown name in a list": Case("realnvp-2d", "evaluate.0", "nil", "nll", "unknown metric 'nil'"),
    "plugin that is not there": Case("realnvp-2d", "model.base", "acme.normal", "uniform", "is not installed"),
    "name of another kind": Case("realnvp-2d", "model.base", "mlp", "standard_normal", "expected a distribution"),
    "mapping of another kind": Case(
        "realnvp-2d", "model.transforms.0.of.0.mask", MLP, "channel", "'mlp' is a conditioner, a decoder and an encoder"
    ),
    "name of what needs parameters": Case("realnvp-2d", "data", "toy2d", "digits", "dataset 'toy2d' needs 'figure'"),
    "no type": Case("realnvp-2d", "model.transforms.0.of.0.conditioner", {"width": 8}, MLP, "a mapping with a 'type'"),
    "type of a number": Case("realnvp-2d", "train.optimizer.type", 3, "sgd", "the name of an optimizer, got 3"),
    "number for a part": Case("realnvp-2d", "model.base", 3, {"type": "standard_normal"}, "should be a distribution"),
    "list for a part": Case("realnvp-2d", "model.base", ["standard_normal"], "standard_normal", "got a list"),
    "part for a list": Case("realnvp-2d", "evaluate", "nll", ["nll"], "a list"),
    "mapping for a list": Case("realnvp-2d", "plugins", {}, [], "a list"),
    "text for a record": Case("realnvp-2d", "engine", "cpu", {"device": "cpu"}, "a mapping"),
    "text for a number": Case("realnvp-2d", "train.steps", "10", 10, "a whole number, got '10'"),
    "true for a number": Case("realnvp-2d", "train.batch", True, 1, "a whole number, got true"),
    "fraction for a whole number": Case("realnvp-2d", "train.steps", 1.5, 1, "a whole number"),
    "number for a boolean": Case("realnvp-2d", "engine.tf32", 1, True, "true or false"),
    "number for a text": Case("realnvp-2d", "description", 3, "3", "a text"),
    "number that is not one": Case("realnvp-2d", "data.noise", "none", 0, "a number"),
    "open lower bound": Case("realnvp-2d", "train.optimizer.lr", 0, 1, "greater than 0"),
    "closed lower bound": Case("realnvp-2d", "train.seed", -1, 0, "greater than or equal to 0"),
    "upper bound": Case("realnvp-2d", "train.ema", 1, 0.5, "less than 1"),
    "bound in a list": Case("realnvp-2d", "train.optimizer.betas", [0.9, 1.0], [0.9, 0.0], "less than 1"),
    "too short": Case("realnvp-2d", "train.optimizer.betas", [0.9], [0.9, 0.9], "'1'"),
    "too long": Case("realnvp-2d", "train.optimizer.betas", [0.9, 0.9, 0.9], [0.9, 0.9], "at most 2"),
    "negative repetition": Case("realnvp-2d", "model.transforms.0.repeat", -1, 1, "a whole number from 0"),
    "repetition of no list": Case("realnvp-2d", "model.transforms.0.of", "act_norm", ["act_norm"], "needs 'of'"),
    "word that is no choice": Case("realnvp-2d", "engine.precision", "fp16", "bf16", "'fp32' or 'bf16'"),
    "word that is no choice of a part": Case("realnvp-2d", "data.figure", "moons", "two_moons", "'two_moons'"),
    "no name": Case("realnvp-2d", "name", GONE, "mine", "the spec needs 'name'"),
    "name with a path": Case("realnvp-2d", "name", "../mine", "mine", "should match pattern"),
    "no model": Case("realnvp-2d", "model", GONE, FLOW, "the spec needs 'model'"),
    "no steps": Case("realnvp-2d", "train.steps", GONE, 1, "'train' needs 'steps'"),
    "no parameter": Case("realnvp-2d", "model.transforms.0.of.0.mask", GONE, "channel", "needs 'mask'"),
    "no key of a record": Case(
        "realnvp-2d", "published", [{"metric": "nll", "value": 1}],
        [{"metric": "nll", "value": 1, "source": "here"}], "'source'"
    ),
    "null for a part": Case("realnvp-2d", "model.base", None, "logistic", "got nothing"),
    "null for a number": Case("realnvp-2d", "train.batch", None, 1, "got nothing"),
    "null for a list": Case("realnvp-2d", "evaluate", None, ["nll"], "got nothing"),
    "null for a record": Case("realnvp-2d", "train", None, TRAIN, "got nothing"),
    "empty list": Case("realnvp-2d", "model.transforms", [], ["act_norm"], "at least 1 item"),
    "empty mapping for a part": Case("realnvp-2d", "train.schedule", {}, None, "a mapping with a 'type'"),
}  # fmt: skip


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(whole_schema())


def changed(name: str, path: str, value: Any) -> dict[str, Any]:
    """A shipped spec, merged with what it extends, with another value at a path."""
    root: dict[str, Any] = json.loads(json.dumps(read_merged(shipped_specs()[name])))
    *above, last = [int(key) if key.isdecimal() else key for key in path.split(".")]
    node: Any = root
    for key in above:
        node = node.setdefault(key, {}) if isinstance(node, dict) else node[key]
    if value is not GONE:
        node[last] = copy.deepcopy(value)
    elif isinstance(node, dict):
        node.pop(last, None)
    return root


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_broken_to_both(case: Case, validator: Draft202012Validator) -> None:
    node = changed(case.spec, case.path, case.wrong)
    assert not validator.is_valid(node)
    with pytest.raises(ZooError, match=re.escape(case.told)):
        assembly.check(load_spec(node))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_repaired_to_both(case: Case, validator: Draft202012Validator) -> None:
    node = changed(case.spec, case.path, case.right)
    validator.validate(node)
    load_spec(node)
