"""What a share file may not hold is refused when a spec is loaded, where it was written; the rest can be shared."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import zoo
from zoo.format import metadata
from zoo.format.header import read_header
from zoo.format.metadata import Steps
from zoo.share.file import check_shareable, export
from zoo.share.stored_spec import spec_of

SPEC: dict[str, Any] = {
    "name": "shared",
    "description": "A flow",
    "published": [{"metric": "nll", "value": 1.0, "source": "somebody", "note": "seed 0"}],
    "data": {"type": "toy2d", "figure": "two_moons", "size": 200, "test_size": 50},
    "model": {"type": "flow", "base": "standard_normal", "transforms": ["batch_norm"]},
    "train": {"steps": 2, "batch": 16, "optimizer": "adam", "freeze": ["*.mean"], "seed": 3},
    "engine": {"device": "auto"},
    "sample": {"n": 16, "temperature": 1.0},
    "init_from": {"file": "weights.safetensors", "match": "*"},
}
TEXTS: list[Steps] = [
    ("name",), ("description",), ("published", 0, "metric"), ("published", 0, "source"), ("published", 0, "note"),
    ("train", "freeze", 0), ("engine", "device"), ("init_from", "file"), ("init_from", "match"),
]  # fmt: skip
WHOLE: list[Steps] = [
    ("train", "steps"), ("train", "seed"), ("sample", "n"), ("data", "size"), ("data", "seed")
]  # fmt: skip
NUMBERS = [*WHOLE, ("published", 0, "value"), ("sample", "temperature")]


def changed(steps: Steps, value: Any) -> dict[str, Any]:
    """The spec with another value at a path."""

    def put(node: Any, steps: Steps) -> Any:
        if not steps:
            return value
        if isinstance(node, list):
            return [put(node[0], steps[1:])]
        return {**node, steps[0]: put(node.get(steps[0]), steps[1:])}

    spec: dict[str, Any] = put(SPEC, steps)
    return spec


@cache
def model() -> zoo.Model:
    return zoo.build({key: value for key, value in SPEC.items() if key != "init_from"})


NASTY_TEXTS = ["\x1b[2J", "\u202egnp.exe", "\u2066x", "\x07", "\u2028", "\x85", "x\x7f"]
NASTY_NUMBERS = [10**19, 10**30, -(10**19)]
REFUSED: list[tuple[Steps, Any]] = [(steps, value) for steps in TEXTS for value in NASTY_TEXTS]
REFUSED += [(steps, value) for steps in WHOLE for value in NASTY_NUMBERS]
REFUSED += [(("name",), "x" * 129), (("description",), "a," * 200_000)]


@pytest.mark.parametrize(("steps", "value"), REFUSED, ids=lambda value: ascii(value)[:30])
def test_refused_where_it_is_written(steps: Steps, value: Any, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(json.dumps(changed(steps, value), indent=1))  # which is YAML
    with pytest.raises(zoo.SpecError) as raised:
        zoo.load_spec(file)
    (problem,) = raised.value.problems
    assert problem.mark is not None
    text = file.read_text().splitlines()[problem.mark.line - 1]
    assert str(steps[-1]) in text or isinstance(steps[-1], int) or "too long" in problem.message
    assert all(line.isprintable() for line in str(problem).splitlines())


def test_more_than_a_share_file_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "MAX_PARTS", 20)
    many = {"type": "flow", "base": "standard_normal", "transforms": [{"repeat": 21, "of": ["act_norm"]}]}
    with pytest.raises(zoo.SpecError, match="or 20 parts; not allowed in a share file"):
        zoo.load_spec(SPEC | {"model": many})
    monkeypatch.setattr(metadata, "MAX_VALUES", 200)
    with pytest.raises(zoo.SpecError, match="more than 200 values"):
        zoo.load_spec(changed(("train", "freeze"), ["*"] * 200))


ANY_TEXT = st.text(max_size=40) | st.sampled_from(
    [*NASTY_TEXTS, "../x", "a/b", "x" * 200, "\n", "\t", "\xe9", "\ud800"]
)
ANY_NUMBER = st.integers() | st.floats() | st.sampled_from([*NASTY_NUMBERS, 10**19 - 1, 2**63, 1e308, 1e400])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.tuples(st.sampled_from(TEXTS), ANY_TEXT) | st.tuples(st.sampled_from(NUMBERS), ANY_NUMBER),
)
def test_what_is_loaded_can_be_shared(tmp_path: Path, change: tuple[Steps, Any]) -> None:
    try:
        spec = zoo.load_spec(changed(*change))
    except zoo.SpecError:
        return
    file = export(tmp_path / "x.safetensors", spec, model(), step=0, data=None)
    assert spec_of(read_header(file), file).resolved() == spec.resolved()


class Unshareable(nn.Module):
    """A model whose file would be refused by the name of a tensor, or by its event."""

    def __init__(self, event: zoo.Event, name: str) -> None:
        super().__init__()
        self.event = event
        self.register_buffer(name, torch.ones(1))


@pytest.mark.parametrize(
    ("event", "name", "data"),
    [
        (zoo.Event("Point", zoo.Shape(2)), "x", None),
        (zoo.Event("point", zoo.Shape(2)), "a/b", None),
        (zoo.Event("point", zoo.Shape(2)), "x", "sha256:\x1b[2J"),
    ],
)
def test_a_model_is_judged_before_it_is_trained(event: zoo.Event, name: str, data: str | None) -> None:
    made: Any = Unshareable(event, name)
    with pytest.raises(zoo.UsageError, match="this model cannot be shared"):
        check_shareable(zoo.load_spec("realnvp-2d"), made, data=data, parent=None)


def test_training_asks_for_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo.Event, "to_dict", lambda event: {"name": "\x1b"})
    with pytest.raises(zoo.UsageError, match="this model cannot be shared"):
        zoo.train("realnvp-2d", runs=tmp_path, steps=1)
    assert list(tmp_path.rglob("model.safetensors")) == []
