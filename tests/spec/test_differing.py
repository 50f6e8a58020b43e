"""``zoo diff``: what is told is what differs, no more, and enough to make one of the other."""

from __future__ import annotations

import json
import re
import sys
import tracemalloc
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

import zoo
from zoo.cli.app import app
from zoo.document import differences as engine
from zoo.document.differences import ABSENT, Difference, differences

LEAVES = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.sampled_from(["a", "type", ""])
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    entries = st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    parts = st.builds(lambda name, values: {"type": name, **values}, st.sampled_from("xy"), entries)
    return st.lists(inner, max_size=4) | entries | parts


VALUES = st.recursive(LEAVES, _containers, max_leaves=12)
COUPLING = {"type": "coupling", "mask": {"type": "channel", "swap": False}, "net": {"type": "mlp", "width": 64}}


def applied(value: Any, found: Sequence[Difference]) -> Any:
    """A value with its differences from another made undone: the other."""
    return _applied(value, [(re.findall(r"\[\d+\]|\w+", one.path), one) for one in found])


def _applied(value: Any, found: list[tuple[list[str], Difference]]) -> Any:
    if found and not found[0][0]:
        return found[0][1].right
    if not isinstance(value, dict | list):
        return value
    within: dict[str, list[tuple[list[str], Difference]]] = defaultdict(list)
    gone: list[tuple[str, Difference]] = []
    new: list[tuple[str, Difference]] = []
    for (step, *rest), one in found:
        if rest or (one.left is not ABSENT and one.right is not ABSENT):
            within[step].append((rest, one))
        else:
            (new if one.left is ABSENT else gone).append((step, one))
    if isinstance(value, dict):
        kept = {key: _applied(item, within[key]) for key, item in value.items() if key not in dict(gone)}
        return kept | {step: one.right for step, one in new}
    items = [_applied(item, within[f"[{i}]"]) for i, item in enumerate(value) if f"[{i}]" not in dict(gone)]
    for step, one in new:
        items.insert(int(step[1:-1]), one.right)
    return items


def changed(**values: Any) -> dict[str, Any]:
    return {**COUPLING, **values}


def told(left: Any, right: Any) -> list[dict[str, Any]]:
    return [difference.to_dict() for difference in differences(left, right, "x")]


@given(VALUES)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert list(differences(value, json.loads(json.dumps(value)))) == []


@settings(deadline=None)
@given(VALUES, VALUES)
def test_differences_make_one_of_the_other(left: Any, right: Any) -> None:
    assert json.dumps(applied(left, list(differences(left, right))), sort_keys=True) == json.dumps(
        right, sort_keys=True
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VALUES, VALUES, st.integers(0, 30), st.integers(0, 3))
def test_of_long_lists_enough_is_told_too(
    monkeypatch: pytest.MonkeyPatch, left: Any, right: Any, pairs: int, edits: int
) -> None:
    monkeypatch.setattr(engine, "MAX_PAIRS", pairs)
    monkeypatch.setattr(engine, "MAX_EDITS", edits)
    made = applied(left, list(differences(left, right)))
    assert json.dumps(made, sort_keys=True) == json.dumps(right, sort_keys=True)


MANY = list(range(4_000))
NESTED = [{"type": "a", "items": [i, i + 1, {"b": [i] * 20}]} for i in range(60)]
LONG: dict[str, tuple[Any, Any]] = {
    "one more": (MANY, [-1, *MANY]),
    "one less in the middle": (MANY, MANY[:2_000] + MANY[2_001:]),
    "nothing in common": (MANY, [-1 - i for i in MANY]),
    "backwards": (MANY, MANY[::-1]),
    "alike": ([1, 2] * 2_000, [2, 1, 1] * 1_300),
    "parts": (NESTED, [*NESTED[30:], *NESTED[:30]]),
    "other parts": (NESTED, [{**part, "items": [*part["items"], i]} for i, part in enumerate(NESTED)]),
    "a long item": ([MANY], [MANY[::-1], 1]),
}


@pytest.mark.parametrize("pair", LONG.values(), ids=LONG)
def test_long_lists_take_work_and_memory_in_proportion(pair: tuple[Any, Any]) -> None:
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    tracemalloc.start()
    sys.setprofile(count)
    try:
        found = list(differences(*pair))
    finally:
        sys.setprofile(None)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    letters = sum(len(json.dumps(side)) for side in pair)
    assert calls < 50 * letters
    assert peak < 200 * letters
    assert json.dumps(applied(pair[0], found), sort_keys=True) == json.dumps(pair[1], sort_keys=True)


def test_of_long_lists_no_more_is_told_than_differs() -> None:
    assert told(MANY, [-1, *MANY]) == [{"path": "x[0]", "right": -1}]
    assert told([*MANY[:9], *MANY[10:]], [*MANY[:3_000], "new", *MANY[3_000:]]) == [
        {"path": "x[9]", "right": 9},
        {"path": "x[3000]", "right": "new"},
    ]


@settings(deadline=None)
@given(VALUES, VALUES)
def test_the_other_way_round_the_same_is_told(left: Any, right: Any) -> None:
    ours = [(d.left is ABSENT, d.right is ABSENT) for d in differences(left, right)]
    theirs = [(d.right is ABSENT, d.left is ABSENT) for d in differences(right, left)]
    assert sorted(ours) == sorted(theirs)


def test_a_leaf() -> None:
    other = changed(net={"type": "mlp", "width": 32})
    assert told(COUPLING, other) == [{"path": "x.net.width", "left": 64, "right": 32}]


def test_another_type_is_another_thing() -> None:
    mask = {"type": "checkerboard", "swap": False}
    assert told(COUPLING, changed(mask=mask)) == [{"path": "x.mask", "left": COUPLING["mask"], "right": mask}]


def test_an_item_that_is_added_moves_no_other() -> None:
    norm, layers = {"type": "norm"}, [changed(scale=i) for i in range(4)]
    assert told(layers, [layers[0], norm, *layers[1:]]) == [{"path": "x[1]", "right": norm}]
    assert told([layers[0], norm, *layers[1:]], layers) == [{"path": "x[1]", "left": norm}]


def test_an_item_that_has_changed_is_known_again_beside_one_that_was_added() -> None:
    norm, one, two = {"type": "norm"}, changed(scale=1), changed(scale=2)
    assert told([one, two], [norm, changed(scale=5), two]) == [
        {"path": "x[0]", "right": norm},
        {"path": "x[0].scale", "left": 1, "right": 5},
    ]


@pytest.mark.parametrize("pair", [(True, 1), (1, 1.0), (None, False), ([], {}), ("1", 1), ([], None)], ids=repr)
def test_what_python_takes_for_equal_is_told_apart(pair: tuple[Any, Any]) -> None:
    assert told(*pair) == [{"path": "x", "left": pair[0], "right": pair[1]}]


def diff(*words: object) -> Result:
    result = CliRunner().invoke(app, ["diff", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    """A small run of a shipped spec with one parameter changed."""
    spec = zoo.load_spec("realnvp-2d", ["train.optimizer.lr=0.5"], small=True)
    return zoo.train(spec, runs=tmp_path_factory.mktemp("runs"), steps=1)


def test_a_spec_and_its_run(run: zoo.Run, tmp_path: Path) -> None:
    small = tmp_path / "small.yaml"
    small.write_text(CliRunner().invoke(app, ["show", "realnvp-2d", *_small()]).stdout)
    result = diff(small, run.directory)
    told = ["train.optimizer.lr", "- 0.002", "+ 0.5"]
    assert (result.exit_code, result.stdout.splitlines()) == (1, [f"- {small}", f"+ {run.directory}", "", *told])
    as_json = json.loads(diff(small, run.directory, "--json").stdout)
    assert as_json == {"differences": [{"path": "train.optimizer.lr", "left": 0.002, "right": 0.5}]}


def test_a_run_and_its_share_file_are_equal(run: zoo.Run) -> None:
    result = diff(run.directory, run.model)
    assert (result.exit_code, result.stdout) == (0, "no differences\n")
    same = diff(run.model, run.model, "--json")
    assert (same.exit_code, same.stdout) == (0, '{"differences": []}\n')


def test_wrong_targets(run: zoo.Run, tmp_path: Path) -> None:
    wrong = {
        "realnvp-2": "spec, run or file not found: realnvp-2; did you mean 'realnvp-2d'?",
        tmp_path: f"{tmp_path} is not a run: it has no model.safetensors",
        "nowhere.yaml": "file not found: nowhere.yaml",
        "hf://nobody": "invalid repository 'nobody': expected OWNER/NAME",
    }
    for target, message in wrong.items():
        for pair in ((target, run.model), (run.model, target)):
            result = diff(*pair)
            assert (result.exit_code, result.stdout, message in result.stderr) == (2, "", True), result.stderr
    (tmp_path / "x.safetensors").write_bytes(b"not a model")
    assert diff(run.model, tmp_path / "x.safetensors").exit_code == 5


def _small() -> list[str]:
    """What `small` says of the shipped spec, as the command line says it."""
    values = zoo.load_spec("realnvp-2d").small
    return [word for key, value in values.items() for word in ("--set", f"{key}={json.dumps(value)}")]
