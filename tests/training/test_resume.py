"""N steps, stop, N more equal 2N steps bit for bit, however the first N ended."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
import torch
from run_equality import assert_same_run
from small_runs import Told, flow
from subprocess_run import fork

import zoo
from zoo.cli.app import app
from zoo.progress import Silent
from zoo.run import checkpoint


@pytest.fixture(scope="module")
def whole(device: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo.train(flow(device), runs=tmp_path_factory.mktemp("runs"), name="whole").directory


@pytest.mark.parametrize("stop", [1, 2, 3, 5, 7])
def test_any_step_will_do(stop: int, whole: Path, device: str, tmp_path: Path) -> None:
    stopped = zoo.train(flow(device), runs=tmp_path, steps=stop)
    torch.manual_seed(stop)  # another process's generator stands anywhere
    assert_same_run(zoo.resume(stopped.directory).directory, whole)


def test_many_stops(whole: Path, device: str, tmp_path: Path) -> None:
    run = zoo.train(flow(device), runs=tmp_path, steps=2).directory
    for steps in (4, 5, None):
        zoo.resume(run, steps=steps)
    assert_same_run(run, whole)


def test_other_seeds_differ(whole: Path, device: str, tmp_path: Path) -> None:
    other = zoo.train(flow(device, seed=1), runs=tmp_path).directory
    with pytest.raises(AssertionError):
        assert_same_run(other, whole)


def test_step_that_is_past_is_refused(whole: Path) -> None:
    with pytest.raises(zoo.UsageError, match="is already at step 8"):
        zoo.resume(whole, steps=8)


@pytest.mark.parametrize("damage", ["state.safetensors", "state.json", "manifest.json", "missing"])
def test_damaged_checkpoint_is_skipped(damage: str, whole: Path, device: str, tmp_path: Path) -> None:
    run = zoo.train(flow(device), runs=tmp_path, steps=6).directory
    assert checkpoint.steps(run / "checkpoints") == [4, 6]
    newest = run / "checkpoints" / "step-6"
    if damage == "missing":
        (newest / "state.safetensors").unlink()
    else:
        raw = bytearray((newest / damage).read_bytes())
        raw[len(raw) // 2] ^= 1
        (newest / damage).write_bytes(raw)
    told = Told()
    zoo.resume(run, progress=told)
    (skipped,) = [note for note in told.notes if "skipped a checkpoint" in note]
    assert "step-6" in skipped
    assert_same_run(run, whole)


def test_no_usable_checkpoint(device: str, tmp_path: Path) -> None:
    run = zoo.train(flow(device), runs=tmp_path, steps=1).directory
    (run / "checkpoints" / "step-1" / "manifest.json").unlink()
    with pytest.raises(zoo.DamagedFile, match="no usable checkpoint"):
        zoo.resume(run)


class Crash(Silent):
    """Fails at the second step."""

    def step(self, step: int) -> None:
        if step == 2:
            raise RuntimeError("crash")


def test_crash_before_the_first_checkpoint_starts_over(whole: Path, device: str, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="crash"):
        zoo.train(flow(device), runs=tmp_path, name="x", progress=Crash())
    run = tmp_path / "small-flow" / "x"
    assert not (run / "checkpoints").exists()
    assert_same_run(zoo.resume(run).directory, whole)


def test_checkpoint_that_was_not_finished_is_no_checkpoint(whole: Path, device: str, tmp_path: Path) -> None:
    run = zoo.train(flow(device), runs=tmp_path, steps=3).directory
    aside = run / "checkpoints" / "step-5.tmp"
    aside.mkdir()
    (aside / "state.json").write_text("{")
    assert_same_run(zoo.resume(run).directory, whole)


def test_no_pickle_is_read_or_written(whole: Path) -> None:
    files = {path.name for path in whole.rglob("*") if path.is_file() and path.suffix != ".png"}
    assert files == {
        "spec.yaml", "resolved.yaml", "metrics.jsonl", "run.json", "model.safetensors", "state.safetensors",
        "state.json", "manifest.json",
    }  # fmt: skip


# -- signals, in processes of their own --------------------------------------------------------------------------------

LONG = 240


def long(home: Path, device: str) -> Path:
    """A spec of many small steps."""
    spec = home / "long.yaml"
    coupling = "{type: affine_coupling, mask: channel, conditioner: {type: mlp, width: 4}}"
    spec.write_text(
        "name: long\n"
        "data: {type: toy2d, figure: two_moons, size: 200, test_size: 50}\n"
        f"model: {{type: flow, base: standard_normal, transforms: [act_norm, {coupling}]}}\n"
        f"train: {{steps: {LONG}, batch: 8, optimizer: adam, ema: 0.9, checkpoint_every: 40, log_every: 3}}\n"
        f"engine: {{compile: off, device: {device}}}\n"
    )
    return spec


class Started:
    """``zoo train`` in a process of its own, which torch is loaded in already."""

    def __init__(self, home: Path, device: str) -> None:
        self.run = home / "long" / "stopped"
        words = ["train", str(long(home, device)), "--runs", str(home), "--name", "stopped"]
        self.child = fork(lambda: app(words))

    def wait_for(self, rows: int) -> None:
        metrics = self.run / "metrics.jsonl"
        until = time.monotonic() + 60
        while not (metrics.exists() and len(metrics.read_text().splitlines()) >= rows):
            assert time.monotonic() < until, self.child.said
            time.sleep(0.002)

    def stop(self, number: int) -> tuple[int, str]:
        self.child.kill(number)
        return self.child.wait(), self.child.said


@pytest.fixture(scope="module")
def undisturbed(device: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("undisturbed")
    return zoo.train(long(home, device), runs=home, name="whole").directory


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_saves_and_leaves(
    number: signal.Signals, code: int, undisturbed: Path, device: str, tmp_path: Path
) -> None:
    started = Started(tmp_path, device)
    started.wait_for(rows=2)
    left, told = started.stop(number)
    assert left == code, told
    assert f"resume with: zoo train --resume {started.run}" in told
    (step,) = checkpoint.steps(started.run / "checkpoints")[-1:]
    assert 0 < step < LONG
    zoo.load(started.run / "model.safetensors")
    assert_same_run(zoo.resume(started.run).directory, undisturbed)


def test_kill_loses_only_what_came_after_the_checkpoint(undisturbed: Path, device: str, tmp_path: Path) -> None:
    started = Started(tmp_path, device)
    started.wait_for(rows=23)
    assert started.stop(signal.SIGKILL)[0] == -signal.SIGKILL
    with (started.run / "metrics.jsonl").open("a") as rest:
        rest.write('{"step": 239, "spl')  # what a kill may leave of a row
    assert_same_run(zoo.resume(started.run).directory, undisturbed)


def test_state_survives_packing() -> None:
    state = {"a": torch.tensor([1.0]), 3: [1, (2.5, None)], "n": {"x": True, "y": "text"}}
    tensors: dict[str, torch.Tensor] = {}
    back = checkpoint.unpack(checkpoint.pack(state, tensors, take=torch.clone), tensors)
    assert torch.equal(back["a"], torch.tensor([1.0]))
    assert back[3] == [1, [2.5, None]]
    assert back["n"] == {"x": True, "y": "text"}
    with pytest.raises(TypeError, match="/f: cannot save a function in a checkpoint"):
        checkpoint.pack({"f": test_no_usable_checkpoint}, {}, take=torch.clone)
