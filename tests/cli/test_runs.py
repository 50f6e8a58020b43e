"""Runs in a list, by name and gone; and what a machine has."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from run_cli import ask
from toy_table import invoke

import zoo
from zoo.errors import UsageError
from zoo.run import overview
from zoo.run.record import MODEL, RESOLVED, RUN


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, a later one that was stopped, and what is not a run."""
    home = tmp_path_factory.mktemp("runs")
    spec = zoo.load_spec("realnvp-2d", small=True, say=lambda message: None)
    zoo.train(spec, runs=home, name="first")
    zoo.train(spec, runs=home, name="second", steps=3)
    dated(home / "realnvp-2d" / "first", "2024-05-01T10:00:00+00:00")
    dated(home / "realnvp-2d" / "second", "2024-05-01T12:00:00+00:00")
    (home / "realnvp-2d" / "notes").mkdir()
    (home / "stray.txt").touch()
    return home


def dated(run: Path, when: str) -> None:
    facts = json.loads((run / RUN).read_text())
    (run / RUN).write_text(json.dumps(facts | {"time": when}))


def listed(home: Path, *options: str) -> list[dict[str, Any]]:
    found = json.loads(invoke("runs", "--runs", str(home), "--json", *options).stdout)["runs"]
    assert isinstance(found, list)
    return found


def test_a_line_has_what_a_user_asks_of_a_run(trained: Path) -> None:
    second, first = listed(trained)
    assert (first["name"], first["status"], first["step"], first["steps"]) == ("first", "finished", 20, 20)
    assert (second["name"], second["status"], second["step"], second["steps"]) == ("second", "stopped", 3, 20)
    assert first["figure"]["metric"] == "nll" and second["figure"] is None
    assert first["figure"]["value"] == zoo.Run(trained / "realnvp-2d" / "first").metrics["nll"]
    assert first["size"] == sum(f.stat().st_size for f in (trained / "realnvp-2d/first").rglob("*") if f.is_file())
    assert first["seconds"] > 0
    shown = invoke("runs", "--runs", str(trained)).stdout.splitlines()
    assert shown[0].split() == ["run", "status", "step", "of", "figure", "age", "trained", "size"]
    assert "nll" in shown[2] and "second" in shown[1]


@pytest.mark.parametrize(
    ("by", "order"),
    [("age", ["second", "first"]), ("-age", ["first", "second"]), ("step", ["second", "first"]),
     ("-size", ["first", "second"]), ("figure", ["first", "second"]), ("-figure", ["first", "second"])],
)  # fmt: skip
def test_lines_are_sorted_and_those_without_a_value_come_last(by: str, order: list[str], trained: Path) -> None:
    assert [line["name"] for line in listed(trained, "--sort", by)] == order


def test_an_unknown_column_is_refused(trained: Path) -> None:
    result = invoke("runs", "--runs", str(trained), "--sort", "sise")
    assert result.exit_code == 2 and "did you mean 'size'" in result.stderr


def test_runs_are_listed_without_torch(trained: Path) -> None:
    said, imported = ask("runs", "--runs", str(trained), env={})
    assert "realnvp-2d/first" in said and not imported & {"torch", "numpy"}


def test_a_run_in_progress_is_as_far_as_its_last_row(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "realnvp-2d" / "now"
    run.mkdir(parents=True)
    (run / RESOLVED).write_text("name: realnvp-2d\n")
    (run / RUN).write_text(json.dumps({"status": "running", "step": 0, "steps": 20, "time": "2024-05-01T10:00:00"}))
    rows = "".join(json.dumps({"step": step, "split": "train", "nll": 1.0}) + "\n" for step in (1, 2, 7))
    (run / "metrics.jsonl").write_text(rows + '{"step": 9')
    (line,) = overview.runs(tmp_path)
    assert (line.status, line.step) == ("killed", 7)
    with (run / RESOLVED).open("rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        (line,) = overview.runs(tmp_path)
        assert line.status == "running"
        with pytest.raises(UsageError, match="another process is using"):
            overview.delete([run])
    assert run.is_dir()


@pytest.mark.parametrize(
    "damage", [b"", b"\xff" * 64, (1 << 62).to_bytes(8, "little") + b"{}", b"\x02" + bytes(7) + b"[]"]
)
def test_a_damaged_model_hides_no_run(damage: bytes, trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "flow" / "hurt"
    run.mkdir(parents=True)
    (run / RESOLVED).touch()
    (run / RUN).write_text("{")
    (run / MODEL).write_bytes(damage)
    (line,) = overview.runs(tmp_path)
    assert (line.figure, line.status, line.step, line.time) == (None, "begun", 0, None)


def test_the_last_run_is_that_which_was_trained_last(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("compare", "@last")
    assert result.exit_code == 2 and "@last: no run in runs; train one by: zoo train SPEC" in result.stderr
    Path("runs").symlink_to(trained)
    rows = json.loads(invoke("compare", "@last", "runs/realnvp-2d/first", "--json").stdout)["rows"]
    assert [row["source"] for row in rows] == ["runs/realnvp-2d/second", "runs/realnvp-2d/first"]
    assert invoke("diff", "@last", "runs/realnvp-2d/second").exit_code == 0
    result = invoke("sample", "@lst", "-o", "x.png")
    assert result.exit_code == 2 and "unknown run '@lst'; did you mean '@last'?" in result.stderr
    spec = zoo.load_spec("realnvp-2d", ["init_from=runs/realnvp-2d/second"], small=True, say=lambda message: None)
    result = invoke("train", "realnvp-2d", "--small", "--steps", "1", "--set", "init_from=@last", "--runs", "new")
    assert result.exit_code == 0, result.stderr
    (run,) = Path("new/realnvp-2d").iterdir()
    assert zoo.load_spec(run / RESOLVED).resolved()["init_from"] == spec.resolved()["init_from"]


def test_deleted_runs_are_gone_and_nothing_else(tmp_path: Path, trained: Path) -> None:
    spec = zoo.load_spec("mixture-1d", small=True, say=lambda message: None)
    run = zoo.train(spec, runs=tmp_path, name="one", steps=1).directory
    (tmp_path / "other").mkdir()
    result = invoke("runs", "rm", str(run), str(tmp_path / "other"))
    assert result.exit_code == 2 and "is not a run" in result.stderr and run.is_dir()
    held = sum(f.stat().st_size for f in run.rglob("*") if f.is_file())
    assert json.loads(invoke("runs", "rm", str(run), "--json").stdout) == {"deleted": [str(run)], "bytes": held}
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
    result = invoke("runs", "rm", str(run))
    assert result.exit_code == 2 and "run not found" in result.stderr


def test_no_runs_is_no_failure(tmp_path: Path) -> None:
    result = invoke("runs", "--runs", str(tmp_path / "none"))
    assert result.exit_code == 0 and "train one by: zoo train SPEC" in result.stdout


def test_a_doctor_knows_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZOO_DATA", str(tmp_path))
    found = json.loads(invoke("doctor", "--json").stdout)
    assert found["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert found["devices"][0]["device"] == "cpu" and found["devices"][0]["memory"] > 0
    assert found["plugins"]["flows"] == "ok"
    data = {one["name"]: one for one in found["data"]}
    assert data["digits"]["examples"] == 360 and data["mnist"]["examples"] is None
    assert any(problem.startswith("data 'mnist': ") for problem in found["problems"])
    assert "mnist" in invoke("doctor").stdout
