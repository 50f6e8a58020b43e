"""``zoo table``: what it asks of the specs, what it trains, what it leaves alone, and what it writes."""

from __future__ import annotations

import csv
import json
import statistics
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from typer.testing import CliRunner, Result

import zoo
from zoo.cli.app import app
from zoo.errors import Interrupted, SpecError, UsageError
from zoo.plot.scatter import scatter
from zoo.progress import Silent
from zoo.registry import shipped
from zoo.registry.shipped import shipped_specs
from zoo.report.draw_time import seconds_per_draw
from zoo.report.table_format import latex, markdown, plain, separated
from zoo.report.table_runs import Figure, TabledRow
from zoo.report.table_spec import read_table
from zoo.run.directory import pace_of
from zoo.share.file import open_share
from zoo.spec import load_spec
from zoo.training import api as training

SPEC = """\
name: {name}
data: {{type: toy2d, figure: two_moons, size: 300, test_size: 100}}
model:
  type: flow
  base: standard_normal
  transforms: {transforms}
train: {{steps: 4, batch: 32, optimizer: {{type: adam, lr: 1.0e-2}}, checkpoint_every: 2, log_every: 1}}
engine: {{device: cpu, compile: "off"}}
evaluate: [nll]
small: {{train.steps: 2}}
"""
TABLE = """\
name: tiny
seeds: 2
rows:
  - {spec: norm.yaml, name: "Norm (100 %)", reported: {nll: 1.5}, source: "Somebody & others, 2020"}
  - {spec: deep.yaml, set: {train.batch: 16}}
note: Tiny.
"""


def invoke(*args: object) -> Result:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def home(folder: Path, text: str = TABLE) -> Path:
    """A table in a folder, with its specs beside it."""
    (folder / "norm.yaml").write_text(SPEC.format(name="norm", transforms="[act_norm]"))
    (folder / "deep.yaml").write_text(SPEC.format(name="deep", transforms="[{repeat: 2, of: [act_norm, reverse]}]"))
    path = folder / "tiny.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A table that was made, and what it printed."""
    folder = tmp_path_factory.mktemp("made")
    result = invoke("table", home(folder), "--runs", folder / "runs", "--json")
    assert result.exit_code == 0, result.stderr
    return folder, json.loads(result.stdout)


def runs_of(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted((folder / "runs").glob("*/*"))}


def times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in (folder / "runs").rglob("*") if path.is_file()}


def refuse(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("this was done before")


# -- what it makes ----------------------------------------------------------------------------------------------------


def test_each_row_is_trained_on_each_seed(made: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = made
    names = [f"tiny-{row}-seed{seed}" for row in ("Norm-100", "deep") for seed in (0, 1)]
    assert sorted(runs_of(folder)) == sorted(names)
    for name, path in runs_of(folder).items():
        _, spec, header = open_share(path / "model.safetensors")
        assert header.meta["step"] == 4
        assert spec.train.seed == int(name[-1])
        assert spec.train.batch == (16 if "deep" in name else 32)
        assert path.parent.name == spec.name == ("deep" if "deep" in name else "norm")


def test_figures_are_those_of_the_runs(made: tuple[Path, dict[str, Any]]) -> None:
    folder, told = made
    for row, key in zip(told["rows"], ("Norm", "deep"), strict=True):
        headers = [open_share(path / "model.safetensors")[2] for name, path in runs_of(folder).items() if key in name]
        values = [header.meta["metrics"]["figures"]["nll"]["value"] for header in headers]
        found = row["metrics"]["nll"]
        assert found["n"] == 2 and found["kind"] == "exact"
        assert found["mean"] == pytest.approx(statistics.fmean(values), abs=1e-12)
        assert found["std"] == pytest.approx(statistics.stdev(values), abs=1e-12)
        assert values[0] != values[1]


def test_one_object_says_it_all(made: tuple[Path, dict[str, Any]]) -> None:
    _, told = made
    assert told["name"] == "tiny"
    norm, deep = told["rows"]
    assert (norm["name"], norm["spec"], norm["seeds"], norm["parameters"]) == ("Norm (100 %)", "norm", 2, 4)
    assert (deep["name"], deep["spec"], deep["seeds"], deep["parameters"]) == ("deep", "deep", 2, 8)
    assert norm["reported"] == {"nll": 1.5} and deep["reported"] == {}
    assert norm["diverged"] == deep["diverged"] == []
    assert norm["seconds"] > 0


def test_what_is_done_is_neither_trained_nor_measured_again(
    made: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, told = made
    before = times(folder)
    for name in ("train", "resume"):
        monkeypatch.setattr(training, name, refuse)
    monkeypatch.setattr("zoo.report.table_scores.evaluate", refuse)
    again = invoke("table", folder / "tiny.yaml", "--runs", folder / "runs", "--json")
    assert json.loads(again.stdout) == told
    assert times(folder) == before


def test_other_metrics_are_measured_anew_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = home(tmp_path, TABLE.replace("seeds: 2", "seeds: 1"))
    assert invoke("table", table, "--runs", tmp_path / "runs").exit_code == 0
    monkeypatch.setattr(training, "train", refuse)
    table.write_text(table.read_text() + "metrics: [{type: nll, draws: 2}]\n")
    first = invoke("table", table, "--runs", tmp_path / "runs", "--json")
    assert first.exit_code == 0, first.stderr
    kept = json.loads((runs_of(tmp_path)["tiny-deep-seed0"] / "table.json").read_text())
    assert kept["key"]["declared"] == [{"type": "nll", "draws": 2}]
    monkeypatch.setattr("zoo.report.table_scores.evaluate", refuse)
    assert json.loads(invoke("table", table, "--runs", tmp_path / "runs", "--json").stdout) == json.loads(first.stdout)


def test_metrics_are_measured_once_by_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table's own metrics replace those of the specs before anything is trained."""
    monkeypatch.setattr("zoo.report.table_scores.evaluate", refuse)
    table = home(tmp_path, TABLE.replace("seeds: 2", "seeds: 1") + "metrics: [{type: nll, draws: 3}]\n")
    assert invoke("table", table, "--runs", tmp_path / "runs").exit_code == 0
    resolved = zoo.load_spec(runs_of(tmp_path)["tiny-deep-seed0"] / "resolved.yaml")
    assert [part.resolved() for part in resolved.evaluate.metrics] == [{"type": "nll", "draws": 3}]


def test_an_interrupted_run_is_gone_on_with(
    made: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, train = home(tmp_path), training.train

    def stopped(spec: zoo.Spec, **kwargs: Any) -> Any:
        if spec.train.seed == 0:
            return train(spec, **kwargs)
        done = train(spec, steps=2, **kwargs)
        raise Interrupted(2, str(done.directory), 2)

    monkeypatch.setattr(training, "train", stopped)
    assert invoke("table", table, "--runs", tmp_path / "runs").exit_code == 130
    assert sorted(runs_of(tmp_path)) == ["tiny-Norm-100-seed0", "tiny-Norm-100-seed1"]
    monkeypatch.setattr(training, "train", train)
    result = invoke("table", table, "--runs", tmp_path / "runs", "--json")
    assert [row["metrics"] for row in json.loads(result.stdout)["rows"]] == [r["metrics"] for r in made[1]["rows"]]
    for name, path in runs_of(tmp_path).items():
        whole = runs_of(made[0])[name]
        assert (path / "metrics.jsonl").read_text() == (whole / "metrics.jsonl").read_text()
        assert (path / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_row_that_diverges_does_not_hold_up_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wild = "rows:\n  - {spec: norm.yaml, name: wild, set: {train.optimizer.lr: 1.0e+30}}\n"
    table = home(tmp_path, TABLE.replace("rows:\n", wild))
    result = invoke("table", table, "--runs", tmp_path / "runs", "--json")
    assert result.exit_code == 3
    rows = json.loads(result.stdout)["rows"]
    assert [(row["seeds"], row["diverged"]) for row in rows] == [(0, [0, 1]), (2, []), (2, [])]
    assert rows[0]["metrics"] == {}
    for name in ("train", "resume"):
        monkeypatch.setattr(training, name, refuse)
    again = invoke("table", table, "--runs", tmp_path / "runs")
    assert again.exit_code == 3
    assert "wild" in again.stdout and "0 (2 diverged)" in again.stdout


@pytest.mark.parametrize(
    "changed",
    [
        'data: {type: table, train: nowhere.csv, dims: 2}',
        'data: {type: table, train: nowhere.csv}',
        'init_from: nowhere.safetensors',
    ],
)  # fmt: skip
def test_a_row_that_fails_is_a_row(changed: str, tmp_path: Path) -> None:
    """The others are trained, and all that there is is written."""
    text = TABLE.replace("rows:\n", f"rows:\n  - {{spec: norm.yaml, name: lost, set: {{{changed}}}}}\n")
    table, output = home(tmp_path, text), tmp_path / "table.md"
    result = invoke("table", table, "--runs", tmp_path / "runs", "--seeds", 1, "-o", output)
    assert result.exit_code == 1
    assert len(runs_of(tmp_path)) == 2
    for said in (result.stdout, output.read_text()):
        assert "0 (1 failed)" in said and "lost, seed 0: " in said and "nowhere" in said
    rows = json.loads(invoke("table", table, "--runs", tmp_path / "runs", "--seeds", 1, "--json").stdout)["rows"]
    assert [(row["name"], row["seeds"], list(row["failed"])) for row in rows] == [
        ("lost", 0, ["0"]), ("Norm (100 %)", 1, []), ("deep", 1, [])
    ]  # fmt: skip


def test_mistakes_of_all_rows_come_at_once(tmp_path: Path) -> None:
    odd = "rows:\n  - {spec: norm.yaml, name: odd, set: {%s}}\n"
    for first, second, told in (
        ("train.stepz: 1", "train.bach: 16", ("'stepz' is not a parameter", "'bach' is not a parameter")),
        ("model.transforms: [squeeze]", "model.transforms: [reverse, squeeze]", ("tiny.yaml:4", "tiny.yaml:6")),
    ):
        text = TABLE.replace("rows:\n", odd % first).replace("train.batch: 16", second)
        result = invoke("table", home(tmp_path, text), "--runs", tmp_path / "runs")
        assert result.exit_code == 2
        assert all(each in result.stderr for each in told), result.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("args", "lines"),
    [
        (("--set", "train.optimizer.lr=0.5"), ["train.optimizer.lr: 0.01 in the run, 0.5 in the table"]),
        (("--set", "data.size=200"), ["data.size: 300 in the run, 200 in the table"]),
        (("--set", "model.transforms=[act_norm, act_norm, reverse]"), ["model.transforms["]),
    ],
)
def test_a_run_of_another_spec_is_refused(
    made: tuple[Path, dict[str, Any]], args: tuple[str, ...], lines: list[str]
) -> None:
    folder, _ = made
    before = times(folder)
    result = invoke("table", folder / "tiny.yaml", "--runs", folder / "runs", *args)
    assert result.exit_code == 2
    for line in (*lines, "tiny-Norm-100-seed0 was trained with other settings", "remove that run"):
        assert line in result.stderr
    assert times(folder) == before


def test_where_it_runs_is_no_other_spec(made: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = made
    sets = ["--device", "cpu", "--set", "engine.tf32=false", "--seeds", "1"]
    result = invoke("table", folder / "tiny.yaml", "--runs", folder / "runs", *sets, "--json")
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)["rows"]
    assert [row["seeds"] for row in rows] == [1, 1]
    assert all(row["metrics"]["nll"]["std"] is None for row in rows)


def test_small_versions_have_runs_of_their_own(tmp_path: Path) -> None:
    table = home(tmp_path)
    assert invoke("table", table, "--runs", tmp_path / "runs", "--small", "--seeds", "1").exit_code == 0
    assert sorted(runs_of(tmp_path)) == ["tiny-small-Norm-100-seed0", "tiny-small-deep-seed0"]
    _, _, header = open_share(runs_of(tmp_path)["tiny-small-deep-seed0"] / "model.safetensors")
    assert header.meta["step"] == 2


def test_every_spec_is_checked_before_any_is_trained(tmp_path: Path) -> None:
    table = home(tmp_path, TABLE.replace("{train.batch: 16}", "{model.transforms: [{type: affine_coupling, mask: 3}]}"))
    result = invoke("table", table, "--runs", tmp_path / "runs")
    assert result.exit_code == 2
    assert "tiny.yaml:5" in result.stderr
    assert not (tmp_path / "runs").exists()
    # Of a row whose parts are known and do not fit together, too.
    table = home(tmp_path, TABLE.replace("{train.batch: 16}", "{model.transforms: [squeeze]}"))
    assert invoke("table", table, "--runs", tmp_path / "runs").exit_code == 2
    assert not (tmp_path / "runs").exists()


def test_facts_stand_where_columns_name_them_and_draws_are_timed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = TABLE.replace("seeds: 2", "seeds: 1\ncolumns: [parameters, nll, seconds_per_step, seconds_per_draw]")
    output = ("--runs", tmp_path / "runs", "-o", tmp_path / "x.md")
    first = invoke("table", home(tmp_path, text), *output, "--json")
    rows = json.loads(first.stdout)["rows"]
    assert all(row["seconds_per_step"] > 0 and row["seconds_per_draw"] > 0 for row in rows)
    assert (
        (tmp_path / "x.md")
        .read_text()
        .startswith("| model | parameters | nll | nll reported | CPU s/step | CPU s/draw |")
    )
    monkeypatch.setattr("zoo.report.table_scores.seconds_per_draw", refuse)
    again = invoke("table", tmp_path / "tiny.yaml", *output, "--json")
    assert json.loads(again.stdout)["rows"] == rows


def test_draws_are_not_timed_unless_a_column_shows_it(made: tuple[Path, dict[str, Any]]) -> None:
    assert [row["seconds_per_draw"] for row in made[1]["rows"]] == [None, None]
    assert all(row["seconds_per_step"] > 0 for row in made[1]["rows"])


def test_a_model_that_does_not_sample_has_no_time_of_a_draw() -> None:
    assert seconds_per_draw(zoo.build(load_spec("digits-classifier", small=True))) is None


def test_a_row_may_be_measured_otherwise(tmp_path: Path) -> None:
    text = TABLE.replace("train.batch: 16}", "train.batch: 16}, metrics: [{type: nll, draws: 4}]")
    read = read_table(home(tmp_path, text + "metrics: [{type: nll, draws: 2}]\n"))
    specs = [read.spec(index, 0, say=lambda text: None) for index in range(2)]
    assert [spec.evaluate.metrics[0].resolved()["draws"] for spec in specs] == [2, 4]


def test_each_data_has_a_table_and_a_picture_of_its_own(tmp_path: Path) -> None:
    """A model of other data joins, with metrics that the others do not have."""
    other = "  - {spec: deep.yaml, name: noisy, set: {data.noise: 0.2}, metrics: [nll, passes_per_draw]}\nnote:"
    text = TABLE.replace("note:", other).replace("seeds: 2", "seeds: 1\nplot: {y: nll, x: seconds_per_draw}")
    table, runs = home(tmp_path, text), tmp_path / "runs"
    for ending in ("md", "tex", "csv", "png"):
        assert invoke("table", table, "--runs", runs, "-o", tmp_path / f"x.{ending}").exit_code == 0
    first, second = (tmp_path / "x.md").read_text().split("| model |")[1:]
    assert "Norm" in first and "deep" in first and "noisy" not in first and "passes" not in first
    assert "noisy" in second and "Norm" not in second and "| 1 |" in second and second.rstrip().endswith("Tiny.")
    assert (tmp_path / "x.md").read_text().count('"noise":') == 2
    assert (tmp_path / "x.tex").read_text().count("begin{tabular}") == 2
    assert [row["model"] for row in csv.DictReader((tmp_path / "x.csv").open())] == ["Norm (100 %)", "deep", "noisy"]
    alone = scatter({"a": (1.0, 1.0)}, "x")
    assert PIL.Image.open(tmp_path / "x.png").size == (2 * alone.shape[2], alone.shape[1])


def test_a_picture_needs_axes_that_something_measures(tmp_path: Path) -> None:
    table = home(tmp_path)
    result = invoke("table", table, "--runs", tmp_path / "runs", "-o", tmp_path / "x.png")
    assert (
        result.exit_code == 2 and "the table 'tiny' has no picture: declare 'plot: {x: ..., y: ...}'" in result.stderr
    )
    assert not (tmp_path / "runs").exists()
    table.write_text(TABLE + "metrics: [nll]\nplot: {y: nlll}\n")
    with pytest.raises(
        SpecError, match=r"tiny.yaml:8:\d+  plot.y  no metric of the table gives 'nlll'; did you mean 'nll'"
    ):
        read_table(table)


def test_the_pace_is_that_of_all_sessions(tmp_path: Path) -> None:
    """The first step of each, which may prepare something, does not count."""
    spec = load_spec(home(tmp_path).parent / "deep.yaml")
    training.train(spec, steps=3, runs=tmp_path / "runs", name="it", progress=Silent())
    first = pace_of(tmp_path / "runs" / "deep" / "it")
    training.resume(tmp_path / "runs" / "deep" / "it", progress=Silent())
    second = pace_of(tmp_path / "runs" / "deep" / "it")
    assert (first.steps, second.steps) == (2, 2)
    assert second.cpu_seconds == first.cpu_seconds > 0
    assert first.seconds_per_step == pytest.approx(first.cpu_seconds / 2)
    assert pace_of(tmp_path).seconds_per_step is None


# -- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seeds: 2", "seed: 2"), r"tiny.yaml:2:1  seed  'seed' is not a parameter of the table; did you mean 'seeds'"),
        (("seeds: 2", "seeds: 0"), r"tiny.yaml:2:8  seeds  should be"),
        (("spec: deep.yaml, set", "sepc: deep.yaml, set"), r"'sepc' is not a parameter of 'rows'; did you mean 'spec'"),
        (("deep.yaml", "deeep.yaml"), r"tiny.yaml:5:12  rows\[1\].spec  file not found: deeep.yaml"),
        (
            ("spec: deep.yaml", "spec: deep.yaml, name: Norm 100"),
            "'Norm 100' has the same directory name as 'Norm .100 %.'",
        ),
        (("seeds: 2", "metrics: [nil]"), r"tiny.yaml:2:11  metrics\[0\]  unknown metric 'nil'"),
        (("nll: 1.5", "nll: low"), "tiny.yaml:4:.*should be a number"),
        (("train.batch: 16", "train.bach: 16"), r"tiny.yaml:5:29  train.bach  'bach' is not a parameter of 'train'"),
    ],
)
def test_a_wrong_table_is_told_with_its_place(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    path = home(tmp_path, TABLE.replace(*change))
    with pytest.raises(SpecError, match=message):
        read = read_table(path)
        for index in range(2):
            read.spec(index, 0, say=lambda text: None)


def test_later_changes_win(tmp_path: Path) -> None:
    text = TABLE.replace("seeds: 2", "set: {train.batch: 8, train: {clip: 1.0}}")
    read = read_table(home(tmp_path, text))
    specs = [read.spec(index, 7, ["train.clip=2.0"], say=lambda text: None) for index in range(2)]
    assert [(spec.train.batch, spec.train.clip, spec.train.seed) for spec in specs] == [(8, 2.0, 7), (16, 2.0, 7)]


def test_shipped_tables_go_by_name_and_are_no_specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tables").mkdir()
    home(tmp_path / "tables")
    (tmp_path / "norm.yaml").write_text((tmp_path / "tables" / "norm.yaml").read_text())
    monkeypatch.setattr(shipped, "_folders", lambda group: [("", tmp_path)])
    monkeypatch.setattr(shipped, "_files", shipped._files.__wrapped__)
    assert read_table("tiny").path == tmp_path / "tables" / "tiny.yaml"
    assert list(shipped_specs()) == ["norm"]
    with pytest.raises(UsageError, match="unknown table 'tinny'; did you mean 'tiny'"):
        read_table("tinny")


def test_shipped_tables_can_be_read() -> None:
    for name in shipped.shipped_tables():
        read = read_table(name)
        assert read.declared.name == name
        for index in range(len(read.declared.rows)):
            read.spec(index, 0, say=lambda text: None)


# -- writing ----------------------------------------------------------------------------------------------------------

ROWS = [
    TabledRow("a_1|b", "s", 2, [], 1200, 3.4, {"nll": Figure(-1.25, 0.5, 2, "bound")}, {"nll": -1.5}, "A & B, 50%"),
    TabledRow("c", "s", 1, [1], 7, None, {"nll": Figure(2.0, None, 1, "exact"), "mig": Figure(None, None, 0, "exact")}),
    TabledRow("d", "t", 0, [0, 1], None, None, {}, {"mig": 0.25}, "C"),
]


def test_a_terminal_gets_columns() -> None:
    lines = plain(ROWS, "A note.").splitlines()
    assert " ".join(lines[0].split()) == "model nll nll reported mig mig reported seeds parameters training s"
    assert "<= -1.2500 +- 0.5000  -1.5 [1]" in lines[1] and lines[1].split()[-2:] == ["1,200", "3"]
    assert "2.0000" in lines[2] and "not finite" in lines[2] and "1 (1 diverged)" in lines[2]
    assert "diverged" in lines[3] and "0.25 [2]" in lines[3] and "0 (2 diverged)" in lines[3]
    assert [line for line in lines[4:] if line] == ["A note.", "[1] reported: A & B, 50%", "[2] reported: C"]


def test_markdown_keeps_its_columns() -> None:
    lines = markdown(ROWS).splitlines()
    assert lines[2].startswith(r"| a_1\|b | <= -1.2500 ± 0.5000 | -1.5 [1] |")
    assert {line.replace(r"\|", "").count("|") for line in lines[:5]} == {9}


def test_latex_is_escaped() -> None:
    text = latex(ROWS, r"100% of $x^2$ \ {y}")
    assert r"a\_1|b & $\le$ -1.2500 $\pm$ 0.5000 & -1.5 [1] &" in text
    assert r"100\% of \$x\textasciicircum{}2\$ \textbackslash{} \{y\}" in text
    assert r"[1] reported: A \& B, 50\%" in text
    assert text.startswith(r"\begin{tabular}{lrrrrrrr}")


def test_csv_has_numbers_in_full() -> None:
    rows = list(csv.DictReader(separated(ROWS).splitlines()))
    assert [(r["model"], r["nll"], r["nll std"], r["nll n"], r["nll reported"]) for r in rows] == [
        ("a_1|b", "-1.25", "0.5", "2", "-1.5"), ("c", "2.0", "", "1", ""), ("d", "", "", "0", "")
    ]  # fmt: skip
    assert [(r["source"], r["seeds"], r["diverged"], r["seconds"]) for r in rows] == [
        ("A & B, 50%", "2", "0", "3.4"), ("", "1", "1", ""), ("C", "0", "2", "")
    ]  # fmt: skip


def test_the_ending_names_the_form(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, _ = made
    for ending, start in {"md": "| model |", "tex": r"\begin{tabular}", "csv": "model,spec,"}.items():
        output = tmp_path / f"table.{ending}"
        assert invoke("table", folder / "tiny.yaml", "--runs", folder / "runs", "-o", output).exit_code == 0
        assert output.read_text().startswith(start)
    result = invoke("table", folder / "tiny.yaml", "--runs", tmp_path / "none", "-o", "x.html")
    assert result.exit_code == 2 and "must end in one of .csv, .md, .tex" in result.stderr
    assert not (tmp_path / "none").exists()
