"""``evaluate`` as a list and as a mapping, ``sample.batch``, and what both change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from zoo.inference.encode import encode_file
from zoo.inference.evaluate import evaluate_file
from zoo.inference.sample import sample, sample_file
from zoo.progress import activity, listening
from zoo.report.table_spec import read_table
from zoo.share.file import export
from zoo.spec import Spec, load_spec

BASE = """\
name: moons
data: {type: toy2d, figure: two_moons, size: 40, test_size: 30}
model: {type: flow, base: standard_normal, transforms: [act_norm]}
train: {steps: 2, batch: 8, optimizer: adam}
"""
LISTED = BASE + "evaluate: [nll, {type: elbo, draws: 2}]\n"
IN_FULL = BASE + "evaluate: {batch: 100, metrics: [nll, {type: elbo, draws: 2}]}\n"


def written(folder: Path, text: str, name: str = "spec") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def scored(spec: Spec) -> tuple[list[Any], int]:
    """The metrics by name and draws, and the batch."""
    found = [(part.name, getattr(part.settings, "p_draws", None)) for part in spec.evaluate.metrics]
    return found, spec.evaluate.batch


BOTH = [("nll", 1), ("elbo", 2)]


@pytest.mark.parametrize(
    ("evaluate", "expected"),
    [
        ("", ([], 500)),
        ("evaluate: [nll]", ([("nll", 1)], 500)),
        ("evaluate: {metrics: [nll]}", ([("nll", 1)], 500)),
        ("evaluate: {metrics: [nll], batch: 7}", ([("nll", 1)], 7)),
        ("evaluate: {batch: 7}", ([], 7)),
        ("evaluate: {metrics: [{repeat: 2, of: [nll]}]}", ([("nll", 1), ("nll", 1)], 500)),
    ],
)
def test_both_forms_say_the_same(evaluate: str, expected: Any, tmp_path: Path) -> None:
    assert scored(load_spec(written(tmp_path, BASE + evaluate))) == expected


def test_a_resolved_spec_has_the_short_form_while_the_batch_is_the_default(tmp_path: Path) -> None:
    nll = {"type": "nll", "draws": 1}
    short = load_spec(written(tmp_path, BASE + "evaluate: {metrics: [nll], batch: 500}"))
    in_full = load_spec(written(tmp_path, BASE + "evaluate: {metrics: [nll], batch: 7}"))
    assert short.resolved()["evaluate"] == [nll]
    assert in_full.resolved()["evaluate"] == {"metrics": [nll], "batch": 7}
    for spec in (short, in_full):
        assert load_spec(spec.resolved()).resolved() == spec.resolved()
        assert scored(load_spec(spec.resolved())) == scored(spec)
    assert short.resolved()["sample"]["batch"] == 1000


@pytest.mark.parametrize(
    ("parent", "child", "expected"),
    [
        (LISTED, "evaluate: {batch: 7}", (BOTH, 7)),
        (IN_FULL, "evaluate: {batch: 7}", (BOTH, 7)),
        (LISTED, "evaluate: [nll]", ([("nll", 1)], 500)),
        (IN_FULL, "evaluate: [nll]", ([("nll", 1)], 100)),
        (IN_FULL, "evaluate: {metrics: [nll]}", ([("nll", 1)], 100)),
        (LISTED, "evaluate: {metrics: [nll], batch: 7}", ([("nll", 1)], 7)),
        (BASE, "evaluate: {batch: 7}", ([], 7)),
        (IN_FULL, "description: it", (BOTH, 100)),
    ],
)
def test_a_child_changes_what_it_names(parent: str, child: str, expected: Any, tmp_path: Path) -> None:
    written(tmp_path, parent, "parent")
    assert scored(load_spec(written(tmp_path, f"extends: parent.yaml\nname: child\n{child}\n"))) == expected


@pytest.mark.parametrize("text", [LISTED, IN_FULL], ids=["list", "mapping"])
@pytest.mark.parametrize(
    ("override", "metrics", "batch"),
    [
        ("evaluate.batch=7", BOTH, 7),
        ("evaluate.1.draws=4", [("nll", 1), ("elbo", 4)], None),
        ("evaluate[1].draws=4", [("nll", 1), ("elbo", 4)], None),
        ("evaluate.elbo.draws=4", [("nll", 1), ("elbo", 4)], None),
        ("evaluate.metrics[1].draws=4", [("nll", 1), ("elbo", 4)], None),
        ("evaluate.metrics.elbo.draws=4", [("nll", 1), ("elbo", 4)], None),
        ("evaluate=[nll]", [("nll", 1)], None),
        ("evaluate={batch: 7}", BOTH, 7),
        ("evaluate.metrics=[nll]", [("nll", 1)], None),
    ],
)
def test_an_override_reaches_both_forms(
    text: str, override: str, metrics: Any, batch: int | None, tmp_path: Path
) -> None:
    default = 500 if text == LISTED else 100
    assert scored(load_spec(written(tmp_path, text), [override])) == (metrics, batch or default)


def test_small_reaches_both_forms(tmp_path: Path) -> None:
    small = "small: {evaluate.batch: 5, evaluate.elbo.draws: 3}\n"
    for text in (LISTED, IN_FULL):
        found = scored(load_spec(written(tmp_path, text + small), small=True))
        assert found == ([("nll", 1), ("elbo", 3)], 5)
        assert scored(load_spec(written(tmp_path, text + "small: {evaluate: [nll]}"), small=True))[0] == [("nll", 1)]


@pytest.mark.parametrize(
    ("evaluate", "message"),
    [
        ("[nil]", "spec.yaml:5:12  evaluate[0]  unknown metric 'nil'"),
        ("[{type: nll, drws: 2}]", "spec.yaml:5:24  evaluate[0].drws  'drws' is not a parameter of metric 'nll'"),
        ("{metrics: [nil]}", "spec.yaml:5:22  evaluate.metrics[0]  unknown metric 'nil'"),
        ("{metrics: [{type: nll, draws: 0}]}", "spec.yaml:5:41  evaluate.metrics[0].draws  should be greater than 0"),
        ("{metrics: [nll], batch: 0}", "spec.yaml:5:35  evaluate.batch  should be greater than 0"),
        (
            "{metrics: [nll], bach: 1}",
            "spec.yaml:5:28  evaluate.bach  'bach' is not a parameter of 'evaluate'; did you",
        ),
        ("{metrics: nll}", "spec.yaml:5:21  evaluate.metrics  should be a list, got 'nll'"),
        ("nll", "spec.yaml:5:11  evaluate  should be a list of metrics, or a mapping with 'metrics' and 'batch', got"),
    ],
)
def test_mistakes_are_shown_where_they_were_written(evaluate: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(zoo.SpecError) as refused:
        load_spec(written(tmp_path, BASE + f"evaluate: {evaluate}\n"))
    assert message in str(refused.value)


def test_mistakes_of_a_merged_spec_are_shown_where_they_were_written(tmp_path: Path) -> None:
    written(tmp_path, BASE + "evaluate: [nil]\n", "parent")
    with pytest.raises(zoo.SpecError, match=r"parent\.yaml:5:12  evaluate\[0\]  unknown metric 'nil'"):
        load_spec(written(tmp_path, "extends: parent.yaml\nevaluate: {batch: 7}\n"))
    with pytest.raises(zoo.SpecError, match=r"--set:1:16  evaluate\.batch  should be a whole number"):
        load_spec(written(tmp_path, LISTED), ["evaluate.batch=many"])
    with pytest.raises(zoo.SpecError, match="has 2 items, numbered from 0: no item 'iwae'"):
        load_spec(written(tmp_path, IN_FULL), ["evaluate.iwae.draws=2"])


def test_a_table_changes_metrics_and_leaves_the_batch(tmp_path: Path) -> None:
    written(tmp_path, IN_FULL)
    table = written(tmp_path, "name: t\nrows: [{spec: spec.yaml}]\nmetrics: [nll]\n", "table")
    assert scored(read_table(table).spec(0, 0, say=print)) == ([("nll", 1)], 100)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A share file of a spec that draws and scores in batches of its own."""
    folder = tmp_path_factory.mktemp("shared")
    spec = load_spec(written(folder, BASE + "evaluate: {metrics: [nll], batch: 10}\nsample: {n: 12, batch: 4}\n"))
    return export(folder / "it.safetensors", spec, zoo.build(spec).eval(), step=0, data=None)


def turns(call: Any) -> list[tuple[str, int]]:
    """What is done, and in how many batches."""
    said: list[tuple[str, int]] = []
    with listening(lambda done, of: said.append((activity(), of))):
        call()
    return [each for each in dict.fromkeys(said) if not each[0].startswith("reading")]


def test_scores_codes_and_draws_are_made_in_batches_of_the_spec(shared: Path, tmp_path: Path) -> None:
    assert turns(lambda: evaluate_file(shared, [], [])) == [("scoring nll", 3)]
    assert turns(lambda: evaluate_file(shared, [], ["evaluate.batch=15"])) == [("scoring nll", 2)]
    assert turns(lambda: evaluate_file(shared, ["inversion_error"], [])) == [("scoring inversion_error", 3)]
    assert turns(lambda: encode_file(shared, tmp_path / "z.npy")) == [("encoding", 3)]
    assert turns(lambda: sample_file(shared, tmp_path / "x.npy")) == [("drawing", 3)]
    assert turns(lambda: sample_file(shared, tmp_path / "x.npy", overrides=["sample.batch=6"])) == [("drawing", 2)]


def test_a_seed_draws_the_same_in_the_same_batches(shared: Path) -> None:
    model = zoo.load(shared)

    default = sample(model, 2500, temperature=1.0, seed=0)
    of_1000, of_99, again = (sample(model, 2500, temperature=1.0, seed=0, batch=batch) for batch in (1000, 99, 99))
    assert torch.equal(default, of_1000) and torch.equal(of_99, again)
    assert not torch.equal(default, of_99)
