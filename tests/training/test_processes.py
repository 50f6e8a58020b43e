"""Several processes train one model: to the figures of one, to the same bits again, and to one end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from run_equality import assert_same_run
from small_runs import FLOW
from subprocess_run import Child, fork
from two_processes import SIZE, finish, together

import zoo
from zoo.engine import launcher, slurm
from zoo.errors import Interrupted
from zoo.progress import Silent
from zoo.run import checkpoint
from zoo.run.checkpoint import steps
from zoo.spec import load_spec
from zoo.training.player_step import Turn

STRATEGIES = ["ddp", "fsdp2"]


def spec_of(strategy: str, base: Any = FLOW, **train: Any) -> zoo.Spec:
    settings = {"engine": {"compile": "off", "device": "cpu", "strategy": strategy}}
    return load_spec(base | settings | {"train": base["train"] | train})


def rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def train(spec: zoo.Spec, home: Path, name: str, steps: int | None = None) -> Path:
    finish(together(lambda rank: zoo.train(spec, runs=home, name=name, steps=steps)))
    return home / spec.name / name


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_with_half_the_batch_are_one(strategy: str, tmp_path: Path) -> None:
    """realnvp-2d draws no noise: the same examples give the same losses, weights and averages."""
    often = ["train.log_every=1", "train.steps=12", "engine.compile=off", "engine.device=cpu"]
    one = zoo.train(load_spec("realnvp-2d", [*often, "train.batch=64"], small=True), runs=tmp_path, name="one")
    half = load_spec("realnvp-2d", [*often, "train.batch=32", f"engine.strategy={strategy}"], small=True)
    two = train(half, tmp_path, "two")
    ours, theirs = rows(one.directory), rows(two)
    assert [row.keys() for row in ours] == [row.keys() for row in theirs]
    for a, b in zip(ours, theirs, strict=True):
        assert all(abs(a[name] - b[name]) < 1e-5 for name in a if isinstance(a[name], float)), (a, b)
    weights = zoo.load(two / "model.safetensors").state_dict()
    assert all(torch.allclose(w, weights[n], atol=1e-5) for n, w in zoo.load(one.model).state_dict().items())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_resumes_to_the_same_bits(strategy: str, tmp_path: Path) -> None:
    spec = spec_of(strategy)
    whole = train(spec, tmp_path, "whole")
    halves = train(spec, tmp_path, "halves", steps=5)
    assert steps(halves / "checkpoints")[-1] == 5
    finish(together(lambda rank: zoo.resume(halves)))
    if strategy == "ddp":
        assert_same_run(halves, whole)
    for name in ("metrics.jsonl", "model.safetensors"):
        assert (halves / name).read_bytes() == (whole / name).read_bytes()


def test_divided_state_is_saved_divided_and_not_pickled(tmp_path: Path) -> None:
    run = train(spec_of("fsdp2"), tmp_path, "parts")
    newest = run / "checkpoints" / "step-8"
    checkpoint.verify(newest)
    parts = sorted(file.name for file in newest.glob("*.safetensors"))
    assert len(parts) == SIZE
    assert {file.name for file in newest.iterdir()} == {*parts, "state.json", "manifest.json"}
    with (newest / parts[1]).open("r+b") as part:
        part.truncate(100)
    finish(together(lambda rank: zoo.resume(run)))
    with pytest.raises(zoo.UsageError, match=r"resume with: zoo train --resume .* --processes 2"):
        zoo.resume(run)


def test_processes_differ_in_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(turn: Turn, runtime: Any, batches: Iterator[Any], *rest: Any) -> None:
        next(batches)
        print(torch.rand(1).item())
        raise zoo.UsageError("enough")

    monkeypatch.setattr(Turn, "take", draw)
    children = together(lambda rank: zoo.train(spec_of("ddp"), runs=tmp_path, name="x"))
    assert [child.wait() for child in children] == [2, 2]
    drawn = {child.said.split()[0] for child in children}
    assert len(drawn) == SIZE
    alone = fork(lambda: zoo.train(spec_of("ddp"), runs=tmp_path, name="alone"))
    assert alone.wait() == 2
    assert alone.said.split()[0] in drawn


def test_only_the_first_writes(tmp_path: Path) -> None:
    def watched(rank: int) -> None:
        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            if event in ("os.mkdir", "os.rename", "os.remove") or (event == "open" and arguments[2] & os.O_ACCMODE):
                print(event, arguments[0])

        if rank:
            sys.addaudithook(watch)
        zoo.train(spec_of("ddp"), runs=tmp_path, name="x")

    children = together(watched)
    finish(children)
    assert str(tmp_path) not in children[1].said


class Slow(Silent):
    """So that a signal comes in time."""

    def step(self, step: int) -> None:
        print(f"step {step}.", flush=True)
        time.sleep(0.05)


def started(children: list[Child]) -> None:
    until = time.monotonic() + 30
    while "step 2." not in children[0].said:
        assert time.monotonic() < until, children[0].said
        time.sleep(0.01)


@pytest.mark.parametrize("told", [0, 1])
def test_a_signal_to_one_stops_all_at_one_step(told: int, tmp_path: Path) -> None:
    spec = spec_of("ddp", steps=200, validate_every=None, best=None, validation=0.0)
    children = together(lambda rank: zoo.train(spec, runs=tmp_path, name="x", progress=Slow()))
    started(children)
    children[told].kill(signal.SIGTERM)
    finish(children, 143)
    (step,) = steps(tmp_path / spec.name / "x" / "checkpoints")[-1:]
    assert f"saved at step {step};" in children[0].said
    run = tmp_path / spec.name / "x"
    finish(together(lambda rank: zoo.resume(run, steps=step + 3)))
    assert_same_run(run, train(spec, tmp_path, "undisturbed", steps=step + 3))


@pytest.mark.parametrize("victim", [0, 1])
def test_one_that_dies_ends_the_run(victim: int, tmp_path: Path) -> None:
    children = together(lambda rank: zoo.train(spec_of("ddp", steps=200), runs=tmp_path, name="x", progress=Slow()))
    started(children)
    children[victim].kill(signal.SIGKILL)
    assert children[victim].wait() == -signal.SIGKILL
    survivor = children[1 - victim]
    assert survivor.wait(timeout=30) == 1
    assert "lost the connection to another one" in survivor.said
    assert "Traceback" not in survivor.said


@pytest.mark.parametrize("sick", [0, 1])
def test_all_stop_where_one_diverges(sick: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take = Turn.take

    def poisoned(turn: Turn, runtime: Any, batches: Iterator[Any], clock: Any, step: int, *rest: Any) -> None:
        if step == 3 and os.environ["RANK"] == str(sick):
            batches = ({name: x * float("nan") for name, x in batch.items()} for batch in batches)
        take(turn, runtime, batches, clock, step, *rest)

    monkeypatch.setattr(Turn, "take", poisoned)
    children = together(lambda rank: zoo.train(spec_of("ddp"), runs=tmp_path, name="x"))
    finish(children, 3)
    assert "diverged at step 3: 'nll'" in children[0].said


def test_a_run_that_exists_is_refused_once(tmp_path: Path) -> None:
    train(spec_of("ddp"), tmp_path, "x", steps=1)
    children = together(lambda rank: zoo.train(spec_of("ddp"), runs=tmp_path, name="x"))
    finish(children, 2)
    assert all("already exists: resume" in child.said for child in children)


# -- the launcher ------------------------------------------------------------------------------------------------------


def test_how_many_are_to_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launcher.to_start(None, 1) == 1
    assert launcher.to_start(3, 1) == 3
    assert launcher.to_start(None, 2) == 2
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29400")
    assert launcher.to_start(2, 2) == launcher.to_start(None, 2) == 0
    with pytest.raises(zoo.UsageError, match="--processes 3 does not match the 2"):
        launcher.to_start(3, 2)


HOSTILE = "import pathlib; pathlib.Path(__file__).parent.joinpath('ran').touch()\n"


@pytest.mark.parametrize("started", ["by the launcher", "by its user"])
def test_no_module_comes_from_the_current_folder(started: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(launcher, "elastic_launch", lambda config, entry: lambda *words: asked.extend([entry, *words]))
    monkeypatch.setattr(launcher, "_settle", lambda processes: None)
    monkeypatch.setattr(launcher, "STOPS", ())
    launcher.launch(2, ["--version"])
    (tmp_path / "typer.py").write_text(HOSTILE)
    if started == "by the launcher":  # of `python -m zoo` the package itself is Python's own choice
        (tmp_path / "zoo").mkdir()
        (tmp_path / "zoo" / "__init__.py").write_text(HOSTILE)
    command = asked if started == "by the launcher" else [*ZOO, "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"zoo {zoo.__version__}\n"
    assert not list(tmp_path.rglob("ran"))


def launch(home: Path, *before: str, then: tuple[str, ...] = ()) -> tuple[subprocess.Popen[str], Path]:
    """A long run of two processes, once it has written a row."""
    few = ("--set", "engine.compile=off", "--set", "train.log_every=2", "--set", "train.batch=16")
    command = [*before, "train", "realnvp-2d", "--runs", str(home), "--name", "x", "--device", "cpu", *few, *then]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    metrics = home / "realnvp-2d" / "x" / "metrics.jsonl"
    while not (metrics.exists() and metrics.stat().st_size):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    return process, metrics.parent


ZOO = (sys.executable, "-m", "zoo")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "zoo")


def test_sigterm_to_the_launcher_saves_once(tmp_path: Path) -> None:
    process, run = launch(tmp_path, *ZOO, then=("--processes", "2"))
    process.terminate()
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 143, told
    assert told.count("; resume with") == 1
    assert len(steps(run / "checkpoints")) == 1
    assert "Traceback" not in told


@pytest.mark.slow
@pytest.mark.parametrize(("before", "then"), [(ZOO, ("--processes", "2")), (TORCHRUN, ())])
def test_a_killed_process_ends_the_launcher(before: tuple[str, ...], then: tuple[str, ...], tmp_path: Path) -> None:
    process, _ = launch(tmp_path, *before, then=then)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    os.kill(int(children.stdout.split()[-1]), signal.SIGKILL)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 1, told
    assert "SIGKILL" in told or "exitcode: -9" in told


@pytest.mark.slow
def test_resume_starts_as_many_as_the_run_had(tmp_path: Path) -> None:
    common = ["--runs", str(tmp_path), "--name", "x", "--small", "--device", "cpu", "--processes", "2"]
    subprocess.run([*ZOO, "train", "realnvp-2d", *common, "--steps", "5"], check=True)
    run = tmp_path / "realnvp-2d" / "x"
    done = subprocess.run([*ZOO, "train", "--resume", str(run), "--json"], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["steps"] == 20


# -- SLURM -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job under SLURM, whose ``scontrol`` writes down what it is asked."""
    asked = tmp_path / "asked"
    control = tmp_path / "bin" / "scontrol"
    control.parent.mkdir()
    control.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    control.chmod(0o755)
    monkeypatch.setenv("PATH", f"{control.parent}:{os.environ['PATH']}")
    monkeypatch.setenv(slurm.JOB, "17")
    return asked


def requeued(wanted: bool) -> zoo.Spec:
    return load_spec(FLOW | {"engine": {"compile": "off", "device": "cpu", "requeue": wanted}})


class Stop(Silent):
    """A signal in the middle of the run."""

    def __init__(self, number: int) -> None:
        self.number = number

    def step(self, step: int) -> None:
        if step == 3:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(("number", "wanted", "asks"), [
    (signal.SIGTERM, True, "requeue 17\n"), (signal.SIGTERM, False, None), (signal.SIGINT, True, None),
])  # fmt: skip
def test_a_job_asks_to_come_back(number: int, wanted: bool, asks: str | None, queue: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        zoo.train(requeued(wanted), runs=tmp_path, progress=Stop(number))
    assert (queue.read_text() if queue.exists() else None) == asks


def test_a_job_that_comes_back_goes_on(queue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Interrupted):
        zoo.train(requeued(True), runs=tmp_path, progress=Stop(signal.SIGTERM))
    with pytest.raises(zoo.UsageError, match="already exists: resume"):
        zoo.train(requeued(True), runs=tmp_path)
    monkeypatch.setenv(slurm.RESTARTS, "1")
    again = zoo.train(requeued(True), runs=tmp_path)
    assert again.directory.name == "slurm-17"
    monkeypatch.delenv(slurm.JOB)
    assert_same_run(again.directory, zoo.train(requeued(True), runs=tmp_path, name="undisturbed").directory)
