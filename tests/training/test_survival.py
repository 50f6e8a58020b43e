"""A run that is killed at any moment, or wanted by two, goes on to the bits of an undisturbed one."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from interrupted_runs import (
    NAME,
    assert_refused,
    assert_survived,
    assert_tidy,
    command,
    go_on,
    held_in,
    spec,
    start,
    where,
)
from run_equality import assert_same_run
from subprocess_run import Child, fork

import zoo
from zoo.progress import Silent
from zoo.run import checkpoint, record
from zoo.run import directory as run
from zoo.storage import lock
from zoo.storage.atomic import write_new
from zoo.storage.background import Background


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The undisturbed run."""
    return start(tmp_path_factory.mktemp("whole"))


# -- killed ------------------------------------------------------------------------------------------------------------


def before_each_change(act: Callable[[], None]) -> None:
    """In a child: act before each change that this process makes to a disk."""
    changes = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.chmod"}
    writing = os.O_WRONLY | os.O_RDWR
    sync = os.fsync

    def hear(event: str, args: tuple[Any, ...]) -> None:
        if event in changes or (event == "open" and args[2] & writing):
            act()

    def synced(handle: int) -> None:
        act()
        sync(handle)

    sys.addaudithook(hear)
    vars(os)["fsync"] = synced


def killed_at(change: int, work: Callable[[], object]) -> Callable[[], object]:
    """Work that ends by SIGKILL right before its n-th change of the disk."""
    counted = itertools.count(1)

    def act() -> None:
        if next(counted) == change:
            os.kill(os.getpid(), signal.SIGKILL)

    def doomed() -> None:
        before_each_change(act)
        work()

    return doomed


@pytest.fixture(scope="module")
def changes(tmp_path_factory: pytest.TempPathFactory, whole: Path) -> int:
    """How many changes of the disk a run makes."""
    seen: list[None] = []

    def count() -> None:
        before_each_change(lambda: seen.append(None))
        start(tmp_path_factory.mktemp("counted"))
        print(len(seen))

    child = fork(count)
    assert child.wait() == 0, child.said
    return int(child.said)


def assert_killed(child: Child) -> None:
    assert child.wait() == -signal.SIGKILL, child.said


@pytest.mark.parametrize("part", [0.3, 0.5, 0.7, 0.9])
def test_killed_before_a_change_of_the_disk(part: float, changes: int, whole: Path, tmp_path: Path) -> None:
    assert_killed(fork(killed_at(round(part * changes), partial(start, tmp_path))))
    assert_survived(tmp_path, whole)


@pytest.mark.slow
def test_killed_before_every_change_of_the_disk(changes: int, whole: Path, tmp_path: Path) -> None:
    assert changes > 100
    for change in range(1, changes + 1):
        home = tmp_path / str(change)
        assert_killed(fork(killed_at(change, partial(start, home))))
        # Every third is killed while it resumes, too.
        if change % 3 == 0:
            child = fork(killed_at(1 + change // 3, partial(go_on, home)))
            assert child.wait() in (0, -signal.SIGKILL), child.said
        assert_survived(home, whole)
        shutil.rmtree(home)


def killed_after(seconds: float, home: Path) -> int:
    child = fork(partial(go_on, home))
    time.sleep(seconds)
    child.kill()
    return child.wait()


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory, whole: Path) -> float:
    """Seconds that a run takes in a child, from before the fork to its end."""
    home, began = tmp_path_factory.mktemp("timed"), time.monotonic()
    assert fork(partial(start, home)).wait() == 0
    return time.monotonic() - began


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_killed_at_random_moments(seed: int, lasting: float, whole: Path, tmp_path: Path) -> None:
    moments = random.Random(seed)
    for _ in range(seed + 1):
        killed_after(moments.uniform(0, lasting), tmp_path)
    assert_survived(tmp_path, whole)


@pytest.mark.slow
def test_killed_at_many_random_moments(lasting: float, whole: Path, tmp_path: Path) -> None:
    moments, codes = random.Random(0), []
    for index in range(60):
        home = tmp_path / str(index)
        # Spread over the whole life of a run, its very end included.
        codes.append(killed_after((index + moments.random()) / 60 * lasting, home))
        for _ in range(index % 3):
            codes.append(killed_after(moments.uniform(0, lasting), home))
        assert_survived(home, whole)
        shutil.rmtree(home)
    assert set(codes) <= {0, -signal.SIGKILL}
    assert codes.count(-signal.SIGKILL) >= 50


@pytest.mark.parametrize("change", [1, 5])
def test_killed_before_there_is_a_run(change: int, whole: Path, tmp_path: Path) -> None:
    assert_killed(fork(killed_at(change, partial(start, tmp_path))))
    assert not record.is_run(where(tmp_path))
    before = held_in(tmp_path)
    child = fork(command("train", "--resume", where(tmp_path)))
    assert child.wait() == 2
    assert child.said in (
        f"error: run not found: {where(tmp_path)}\n",
        f"error: {where(tmp_path)} is not a run: it has no resolved.yaml\n",
    )
    assert held_in(tmp_path) == before
    assert_same_run(start(tmp_path), whole)


# -- what a power cut would leave --------------------------------------------------------------------------------------


class Disk:
    """In a child: complains of a file that is put in its place, or removed, before what comes first is on the disk."""

    def __init__(self) -> None:
        self.synced: set[int] = set()
        """Inodes whose content is on the disk."""
        self.names: dict[Path, int] = {}
        """Names that may not be there after a power cut, with the inode of their directory."""
        self._sync = os.fsync
        self._one_at_a_time = threading.RLock()
        vars(os)["fsync"] = self.sync
        sys.addaudithook(self.hear)

    def sync(self, handle: int) -> None:
        self._sync(handle)
        inode = os.fstat(handle).st_ino
        with self._one_at_a_time:
            self.synced.add(inode)
            self.names = {name: home for name, home in self.names.items() if home != inode}

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in ("os.mkdir", "os.rename", "os.link"):
            return
        source, target = Path(args[0]), Path(args[0] if event == "os.mkdir" else args[1])
        with self._one_at_a_time:
            if event == "os.mkdir" and target.suffix != ".tmp":
                self.named(target)
            elif event != "os.mkdir" and target.suffix == ".tmp":
                self.removed(source)
            elif event != "os.mkdir":
                self.placed(source, target)

    def placed(self, source: Path, target: Path) -> None:
        within = [source, *source.iterdir()] if source.is_dir() else [source]
        for path in within:
            if path.stat().st_ino not in self.synced:
                print(f"{path} is not on the disk, but becomes {target}")
        for above in target.parents:
            if above in self.names:
                print(f"{target} gets its name before {above} has")
        self.named(target)

    def removed(self, path: Path) -> None:
        if path.parent.stat().st_ino in self.names.values():
            print(f"{path} goes before what replaces it has its name")

    def named(self, path: Path) -> None:
        self.names[path] = path.parent.stat().st_ino


def test_nothing_gets_its_name_before_it_is_on_the_disk(whole: Path, tmp_path: Path) -> None:
    """Inodes that are used again may hide one fault, not all of a kind."""

    def watched() -> None:
        disk = Disk()
        start(tmp_path / "new" / "runs")
        print(len(disk.synced) > 20, disk.names)

    child = fork(watched)
    assert child.wait() == 0, child.said
    assert child.said == "True {}\n"


# -- two processes, one run --------------------------------------------------------------------------------------------


class Waiting(Silent):
    """Says that a step is done, and waits to be killed."""

    def __init__(self, step: int, reached: Path) -> None:
        self._step, self._reached = step, reached

    def step(self, step: int) -> None:
        if step == self._step:
            self._reached.touch()
            time.sleep(60)


@pytest.mark.parametrize("begun", [False, True], ids=["train", "resume"])
def test_second_process_is_refused(begun: bool, whole: Path, tmp_path: Path) -> None:
    reached = tmp_path / "reached"
    if begun:
        start(tmp_path, steps=3)
        first = fork(lambda: zoo.resume(where(tmp_path), progress=Waiting(5, reached)))
    else:
        first = fork(lambda: zoo.train(spec(), runs=tmp_path, name=NAME, progress=Waiting(5, reached)))
    checkpoints, until = where(tmp_path) / "checkpoints", time.monotonic() + 30
    while not reached.exists() or checkpoint.steps(checkpoints) != [3, 4] or [*checkpoints.glob("*.tmp")]:
        assert time.monotonic() < until, first.said
        time.sleep(0.005)
    # What the first may be writing is not the second's to sweep.
    (checkpoints / "step-7.tmp").mkdir()
    (checkpoints / "step-7.tmp" / "state.json").touch()
    (where(tmp_path) / ".model.safetensors.x.tmp").touch()
    before = held_in(where(tmp_path))
    second = fork(command("train", "--resume", where(tmp_path)))
    assert_refused(second, f"another process is using {where(tmp_path)};", code=2)
    assert held_in(where(tmp_path)) == before
    first.kill()
    assert_killed(first)
    third = fork(command("train", "--resume", where(tmp_path)))
    assert third.wait() == 0, third.said
    assert_same_run(where(tmp_path), whole)
    assert_tidy(where(tmp_path))


def test_two_runs_of_one_name(whole: Path, tmp_path: Path) -> None:
    """Of two that begin at the same time, one does: neither was there when the other looked."""
    both, new = multiprocessing.get_context("fork").Barrier(2), run.new_directory

    def beginning() -> None:
        def together(*args: Any) -> Path:
            directory = new(*args)
            both.wait(30)
            return directory

        vars(run)["new_directory"] = together
        start(tmp_path)

    children = [fork(beginning) for _ in range(2)]
    assert sorted(child.wait() for child in children) == [0, 2], [child.said for child in children]
    assert_same_run(where(tmp_path), whole)
    assert_tidy(where(tmp_path))


def test_without_locks_a_user_is_told_where_to_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "fcntl", None)
    with pytest.raises(zoo.UsageError, match="requires POSIX file locks"), lock.held(tmp_path / "file"):
        pass


def test_new_file_is_written_by_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_new(file, lambda aside: aside.write_text("first"))
    with pytest.raises(zoo.UsageError, match="file already exists"):
        write_new(file, lambda aside: aside.write_text("second"))
    assert held_in(tmp_path) == {"file": b"first"}


# -- writing while training goes on ------------------------------------------------------------------------------------


def test_snapshot_is_nobody_elses() -> None:
    """What happens to a state after its snapshot does not reach the disk."""
    moved = torch.arange(6.0).reshape(2, 3)
    state: dict[Any, Any] = {
        "plain": moved,
        "turned": moved.T,
        "part": moved[0],
        "numbers": [1, {"x": 2}],
        1: moved + 1,
    }
    taken = checkpoint.snapshot(state)
    tensors, text = {name: x.tolist() for name, x in taken.tensors.items()}, taken.text
    moved.zero_()
    state["numbers"] = None
    state[1].zero_()
    assert {name: x.tolist() for name, x in taken.tensors.items()} == tensors
    assert taken.text == text


def test_paths_that_read_the_same(tmp_path: Path) -> None:
    state: dict[Any, Any] = {
        "a/b": torch.tensor(1),
        "a": {"b": torch.tensor(2)},
        1: torch.tensor(3),
        "1": torch.tensor(4),
    }
    checkpoint.write(tmp_path, 0, checkpoint.snapshot(state))
    assert checkpoint.load(tmp_path, 0) == state


def test_error_of_a_write_is_raised_once_at_the_next_call() -> None:
    background = Background()

    def fail() -> None:
        raise zoo.ZooError("full")

    background.submit(fail)
    with pytest.raises(zoo.ZooError, match="full"):
        background.submit(lambda: pytest.fail("the write before it failed"))
    background.close()


def test_interrupted_waiting_still_waits() -> None:
    """Ctrl-C while the last write goes on: it is finished, and its error is not lost."""

    def fail() -> None:
        time.sleep(0.3)
        raise zoo.ZooError("full")

    def work() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        background = Background()
        background.submit(fail)
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            background.wait()
        background.close()

    assert_refused(fork(work), "full")


def test_rows_are_on_the_disk_before_the_checkpoint_that_counts_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut a resume takes the rows up to its checkpoint from the file."""
    pending: list[str] = []
    write, sync, snapshot = run.MetricsLog.write, run.MetricsLog.sync, checkpoint.snapshot

    def written(log: run.MetricsLog, row: Any) -> None:
        write(log, row)
        pending.append(str(row))

    def synced(log: run.MetricsLog) -> None:
        sync(log)
        pending.clear()

    def taken(state: dict[str, Any]) -> checkpoint.Snapshot:
        assert pending == []
        return snapshot(state)

    monkeypatch.setattr(run.MetricsLog, "write", written)
    monkeypatch.setattr(run.MetricsLog, "sync", synced)
    monkeypatch.setattr(checkpoint, "snapshot", taken)
    start(tmp_path)
