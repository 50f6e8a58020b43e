"""Runs side by side: what was measured on other data stands in another table, and every table fits the terminal."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_table import TOY, invoke

import zoo
from zoo.errors import UsageError
from zoo.report.compare import Row, compare, separated, sheets
from zoo.report.table_format import in_latex, in_markdown, on_terminal
from zoo.report.text_table import fitted
from zoo.run.record import TOTAL, trained_seconds


def figure(value: float | None, n: int = 100, kind: str = "exact") -> Mapping[str, Any]:
    return {"value": value, "n": n, "kind": kind}


MOONS, DIGITS = {"type": "toy2d", "figure": "two_moons"}, {"type": "digits"}
ROW = Row("runs/flow/a", "flow", 1234, 10, {"nll": figure(2.0), "nll.detail": figure(1.0)}, 60.4, 0.001, data=MOONS)
ROWS = [
    ROW,
    replace(ROW, source="runs/flow/b", metrics={"nll": figure(1.0)}, train_seconds=None, parameters=None),
    replace(ROW, source="runs/vae/c", metrics={"nll": figure(90.0, 50, "bound"), "elbo": figure(None)}, data=DIGITS),
    replace(ROW, source="runs/new/d", metrics={}, data=None),
]


def test_figures_of_other_data_are_in_another_table() -> None:
    moons, digits, unmeasured = sheets(ROWS)
    assert moons.title == 'on {"figure":"two_moons","type":"toy2d"}, n=100'
    assert moons.heads == ["run", "model", "parameters", "step", "nll", "ms/sample", "training s"]
    assert moons.rows == [
        ["runs/flow/a", "flow", "1,234", "10", "2.0000", "1.000", "60"],
        ["runs/flow/b", "flow", "", "10", "1.0000", "1.000", ""],
    ]
    assert digits.heads[4:6] == ["nll", "elbo"]
    assert digits.rows[0][4:6] == ["<= 90.0000 (n=50)", "not finite (n=100)"]
    assert unmeasured.title == "not measured yet" and unmeasured.heads[4] == "ms/sample"


def test_figures_are_chosen_and_rows_sorted() -> None:
    assert sheets(ROWS[:1], ["nll.detail"])[0].heads[4] == "nll.detail"
    orders = {
        by: [row[0][-1] for row in sheets(ROWS[:2], sort=by)[0].rows] for by in ("nll", "-nll", "-training s", None)
    }
    assert orders == {"nll": ["b", "a"], "-nll": ["a", "b"], "-training s": ["a", "b"], None: ["a", "b"]}
    with pytest.raises(UsageError, match="no row has the figure 'nl'; did you mean 'nll'"):
        sheets(ROWS, ["nl"])
    with pytest.raises(UsageError, match="cannot sort by the unknown column 'stepp'; did you mean 'step'"):
        sheets(ROWS, sort="-stepp")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    figures = {f"a_figure_of_long_name_{index}": figure(1.5, 100 + index, "bound") for index in range(6)}
    wide = replace(ROW, source="/a/very/long/path/to/the/runs/of/a/whole/department/realnvp/20261129", metrics=figures)
    text = on_terminal(sheets([wide])[0], width)
    assert max(map(len, text.splitlines())) <= width
    assert "261129" in text
    assert all(name in text for name in figures)


CELLS = st.text("abc 1", max_size=12)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), max_size=5), st.integers(20, 60))
def test_every_cell_is_somewhere(rows: list[tuple[str, ...]], width: int) -> None:
    text = fitted(rows, ["first", "second", "third", "fourth"], width)
    for row in rows:
        assert all(cell.strip() in text for cell in row[1:])
    assert max(map(len, text.splitlines())) <= max(width, 24)


def test_forms_of_files() -> None:
    moons = sheets(ROWS)[0]
    assert "| runs/flow/a | flow | 1,234 | 10 | 2.0000 | 1.000 | 60 |" in in_markdown(moons)
    assert moons.title in in_markdown(moons)
    assert r"runs/flow/a & flow & 1,234 & 10 & 2.0000 & 1.000 & 60 \\" in in_latex(moons)
    first = next(csv.DictReader(separated(ROWS).splitlines()))
    assert (first["nll"], first["nll n"], first["nll kind"], first["nll.detail"]) == ("2.0", "100", "exact", "1.0")
    assert json.loads(first["data"]) == MOONS


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two sessions."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "rows.csv").write_text("a,b\n1,2\n3,5\n2,2\n4,1\n")
    (folder / "toy.yaml").write_text(TOY.replace("rows.csv", str(folder / "rows.csv")).replace("steps: 1", "steps: 4"))
    directory = zoo.train(folder / "toy.yaml", runs=folder / "runs", name="x", steps=2).directory
    facts = json.loads((directory / "run.json").read_text())
    assert facts[TOTAL] == facts["seconds"]
    (directory / "run.json").write_text(json.dumps(facts | {"seconds": 1000.0, TOTAL: 5000.0}))
    zoo.resume(directory)
    return directory


def test_seconds_are_those_of_all_sessions(run: Path) -> None:
    facts = json.loads((run / "run.json").read_text())
    assert facts["seconds"] < 1000
    assert facts[TOTAL] == 5000.0 + facts["seconds"]
    assert trained_seconds(run) == facts[TOTAL] == compare(run).train_seconds


def test_seconds_of_a_run_that_did_not_add_them_up(run: Path, tmp_path: Path) -> None:
    (tmp_path / "resolved.yaml").touch()
    assert trained_seconds(tmp_path) is None
    (tmp_path / "run.json").write_text(json.dumps({"seconds": 10.0, "step": 40, "since": 20}))
    assert trained_seconds(tmp_path) == 20.0
    assert trained_seconds(tmp_path / "nowhere") is None


def test_the_command(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    model, output = run / "model.safetensors", tmp_path / "x.csv"
    result = invoke("compare", str(run), str(model), "--metric", "nll", "--sort", "-nll", "-o", str(output))
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 60
    assert len(output.read_text().splitlines()) == 3
    for form in (".md", ".tex"):
        assert invoke("compare", str(run), "-o", str(tmp_path / f"x{form}")).exit_code == 0
    (row,) = json.loads(invoke("compare", str(run), "--json").stdout)["rows"]
    assert row["data"]["type"] == "table"
