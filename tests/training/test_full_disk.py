"""Where nothing can be written, a run says so in one line, leaves what it had, and can go on later."""

from __future__ import annotations

import errno
import importlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
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
    held_in,
    limited,
    on_a_full_disk,
    size,
    spec,
    start,
    where,
)
from run_equality import assert_same_run
from subprocess_run import fork

import zoo
from zoo.document.yaml import write_yaml
from zoo.inference.writers import ARRAYS, array_writer
from zoo.registry.discovery import environment, stamp_of
from zoo.run import record
from zoo.storage import cache
from zoo.storage.atomic import write_whole


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The undisturbed run."""
    return start(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A run that was stopped at step 3."""
    return start(tmp_path, steps=3)


# -- a full disk -------------------------------------------------------------------------------------------------------


def test_no_room_for_a_checkpoint(stopped: Path, whole: Path, tmp_path: Path) -> None:
    state, share = stopped / "checkpoints" / "step-3" / "state.safetensors", stopped / record.MODEL
    assert size(share) < size(state), "or the limit would hit the share file first"
    before = held_in(stopped / "checkpoints")
    child = on_a_full_disk((size(share) + size(state)) // 2, "train", "--resume", stopped)
    assert_refused(child, f"the checkpoint {stopped}/checkpoints/step-4 could not be written:", "File too large")
    assert held_in(stopped / "checkpoints") == before
    assert_tidy(stopped)
    assert_survived(tmp_path, whole)


def test_no_room_for_the_share_file(stopped: Path, whole: Path, tmp_path: Path) -> None:
    before = held_in(stopped)
    child = on_a_full_disk(size(stopped / record.MODEL) - 200, "train", "--resume", stopped)
    assert_refused(child, f"{stopped}/model.safetensors could not be written:", "File too large")
    assert held_in(stopped)[record.MODEL] == before[record.MODEL]
    assert_tidy(stopped)
    assert_survived(tmp_path, whole)


def test_no_room_for_a_row(stopped: Path, whole: Path, tmp_path: Path) -> None:
    log = stopped / record.METRICS
    short = log.read_bytes()
    log.write_bytes(b'{"step": 0, "split": "%s"}\n' % (b"x" * 100_000) + short)  # larger than all other files
    before = log.read_bytes()
    child = on_a_full_disk(len(before) + 10, "train", "--resume", stopped)
    assert_refused(child, f"{log} could not be written:", "File too large")
    assert log.read_bytes() == before
    assert_tidy(stopped)
    log.write_bytes(short)
    assert_survived(tmp_path, whole)


def test_no_room_for_the_rows_before(stopped: Path, whole: Path, tmp_path: Path) -> None:
    log = stopped / record.METRICS
    short = log.read_bytes()
    log.write_bytes(b'{"step": 0, "split": "%s"}\n' % (b"x" * 5000) + short)  # more than the child has to say
    before = held_in(stopped)
    child = on_a_full_disk(size(log) - 1, "train", "--resume", stopped)
    assert_refused(child, f"{log} could not be written:", "File too large")
    assert held_in(stopped) == before
    log.write_bytes(short)
    assert_survived(tmp_path, whole)


@pytest.mark.parametrize(
    ("writer", "file"), [("zoo.run.directory.record", "run.json"), ("zoo.training.recorder.draw", "samples/step-4.png")]
)
def test_no_room_for_a_small_file(
    writer: str, file: str, stopped: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that are smaller than others: only their writer finds no room."""
    module, name = writer.rsplit(".", 1)
    write = getattr(sys.modules[module], name)

    def cramped(*args: Any, **kwargs: Any) -> Any:
        with limited(100):
            return write(*args, **kwargs)

    before = held_in(stopped)
    with monkeypatch.context() as patch:
        patch.setattr(writer, cramped)
        child = fork(command("train", "--resume", stopped))
    assert_refused(child, f"{stopped}/{file} could not be written:", "File too large")
    assert held_in(stopped).get(file) == before.get(file)
    assert_tidy(stopped)
    assert_survived(tmp_path, whole)


def test_no_room_for_a_run(whole: Path, tmp_path: Path) -> None:
    given = tmp_path / "small.yaml"
    given.write_text(write_yaml(spec().resolved()))
    room = size(given) // 2
    child = on_a_full_disk(room, "train", given, "--runs", tmp_path, "--name", NAME)
    assert_refused(child, f"{where(tmp_path)}/spec.yaml could not be written:", "File too large")
    assert held_in(where(tmp_path)) == {}
    assert_same_run(start(tmp_path), whole)


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["export"], "shared.safetensors"),
        (["sample", "-n", 500], "draws.npy"),
        (["sample", "-n", 500], "draws.pt"),
        (["sample", "-n", 500], "draws.csv"),
        (["sample", "-n", 500], "draws.png"),
    ],
)
def test_no_room_for_an_output(arguments: list[object], output: str, whole: Path, tmp_path: Path) -> None:
    target = tmp_path / output
    target.write_text("old")
    child = on_a_full_disk(500, arguments[0], whole, *arguments[1:], "-o", target)
    assert_refused(child, f"{target} could not be written:")
    assert held_in(tmp_path) == {output: b"old"}


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.95, 0.999])
@pytest.mark.parametrize("ending", ARRAYS)
def test_no_room_for_a_part_of_an_output(ending: str, part: float, tmp_path: Path) -> None:
    """However far a library got: torch speaks of an unexpected position in the middle of a file."""
    target, x = tmp_path / f"draws{ending}", torch.zeros(5000, 2)
    write = array_writer(target)
    write_whole(target, lambda aside: write(x, aside))
    before = held_in(tmp_path)
    with limited(int(part * size(target))), pytest.raises(zoo.ZooError, match="could not be written: File too large"):
        write_whole(target, lambda aside: write(x, aside))
    assert held_in(tmp_path) == before


def test_what_cannot_be_kept_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    with limited(10):
        cache.keep("catalogue", "stamp", ["a value"])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    cache.keep("catalogue", "stamp", ["a value"])
    assert cache.recalled("catalogue", ["stamp"]) == ["a value"]


def test_paths_that_are_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is hashed or kept by the names of files takes every name that a file can have."""
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    (odd / os.fsdecode(b"\xe9.dist-info")).mkdir()
    (odd / os.fsdecode(b"\xe9.py")).touch()
    assert stamp_of(odd.iterdir())
    monkeypatch.setattr(sys, "path", [str(odd)])
    monkeypatch.setattr(sys, "prefix", str(odd))
    monkeypatch.setenv("ZOO_CACHE", str(odd))
    assert environment.__wrapped__()
    cache.keep("catalogue", "stamp", 1)
    assert cache.recalled("catalogue", ["stamp"]) == 1


@pytest.mark.parametrize("what", ["directory", "device"])
def test_what_is_no_file_is_not_replaced(what: str, tmp_path: Path) -> None:
    """Root may put a file in the place of a device."""
    target = tmp_path / "out"
    target.mkdir() if what == "directory" else os.mkfifo(target)
    before = target.stat()
    with pytest.raises(zoo.ZooError, match="out could not be written: it exists and is not a regular file"):
        write_whole(target, lambda aside: aside.touch())
    assert target.stat() == before
    assert_tidy(tmp_path)


def test_file_systems_that_cannot_sync_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some networks' say so; of a file it is an error."""
    real = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode) or broken:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    broken = False
    write_whole(tmp_path / "a" / "file", lambda aside: aside.write_text("new"))
    broken = True
    with pytest.raises(zoo.ZooError, match="file could not be written: Invalid argument"):
        write_whole(tmp_path / "a" / "file", lambda aside: aside.write_text("newer"))
    assert held_in(tmp_path) == {"a": b"", "a/file": b"new"}


# -- a read-only directory ---------------------------------------------------------------------------------------------


def unprivileged(work: Callable[[], object]) -> Callable[[], object]:
    """The same work, but to root as well modes mean something."""
    if os.geteuid():
        return work

    def stripped() -> None:
        # Root's Python may be closed to others: what a command imports late is imported now.
        for late in ("engine.launcher", "cli.terminal"):
            importlib.import_module(f"zoo.{late}")
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        work()

    return stripped


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that every user may enter, unlike pytest's."""
    home = Path(tempfile.mkdtemp())
    home.chmod(0o755)
    yield home
    for path in (home, *home.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(home)


def read_only(directory: Path) -> dict[str, bytes]:
    """Take the right to write away from everything in a directory; what it holds."""
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return held_in(directory)


def test_read_only_runs(whole: Path, public: Path) -> None:
    given = public / "small.yaml"
    given.write_text(write_yaml(spec().resolved()))
    before = read_only(public)
    child = fork(unprivileged(command("train", given, "--runs", public, "--name", NAME)))
    assert_refused(child, f"{where(public)}/spec.yaml could not be written:", "Permission denied")
    assert held_in(public) == before


@pytest.mark.parametrize(
    ("writable", "code", "what"),
    [
        ([], 2, "resolved.yaml cannot be locked:"),
        (["resolved.yaml"], 1, "metrics.jsonl could not be written:"),
        (["resolved.yaml", ".", "samples"], 1, "checkpoints/step-4 could not be written:"),
    ],
    ids=["all", "all but the lock", "checkpoints"],
)
def test_read_only_run(writable: list[str], code: int, what: str, stopped: Path, whole: Path, public: Path) -> None:
    shutil.copytree(stopped, where(public))
    before = read_only(where(public))
    for name in writable:
        (where(public) / name).chmod(0o777)
    child = fork(unprivileged(command("train", "--resume", where(public))))
    prefix = "the checkpoint " if "checkpoints" in what else ""
    assert_refused(child, f"{prefix}{where(public)}/{what}", "Permission denied", code)
    after = held_in(where(public))
    kept = [name for name in before if "." not in writable or name.startswith("checkpoints")]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert_tidy(where(public))
    for path in where(public).rglob("*"):
        path.chmod(0o777)
    assert_survived(public, whole)


def test_directory_that_cannot_be_entered(whole: Path, public: Path) -> None:
    (public / "closed").mkdir(mode=0o700)
    child = fork(unprivileged(command("train", "--resume", public / "closed" / "run")))
    if os.geteuid():
        assert_refused(child, "run not found", "", 2)
    else:
        assert_refused(child, f"{public}/closed/run/run.json could not be read:", "Permission denied", 2)
