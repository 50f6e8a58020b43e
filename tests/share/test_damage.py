"""A damaged checkpoint is skipped with a message, and never taken for another."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from interrupted_runs import assert_refused, assert_survived, command, held_in, on_a_full_disk, size, start, where
from run_equality import assert_same_run
from small_runs import Told
from subprocess_run import fork

import zoo
from zoo.run import checkpoint, record


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The undisturbed run."""
    return start(tmp_path_factory.mktemp("whole"))


Damage = Callable[[Path], object]
FILES = ("state.json", "state.safetensors", "manifest.json")


def truncated(file: str, part: float) -> Damage:
    return lambda step: os.truncate(step / file, int(size(step / file) * part))


def missing(file: str) -> Damage:
    return lambda step: (step / file).unlink()


def replaced(file: str, text: str) -> Damage:
    return lambda step: (step / file).write_text(text)


def made_a_directory(file: str) -> Damage:
    def damage(step: Path) -> None:
        (step / file).unlink()
        (step / file).mkdir()

    return damage


def emptied(step: Path) -> None:
    for file in FILES:
        (step / file).unlink()


def made_a_file(step: Path) -> None:
    shutil.rmtree(step)
    step.touch()


def of_another_step(file: str) -> Damage:
    return lambda step: shutil.copy(step.parent / "step-4" / file, step / file)


DAMAGES: dict[str, Damage] = {
    **{f"{file} cut to {part}": truncated(file, part) for file in FILES for part in (0.0, 0.01, 0.5, 0.99)},
    **{f"{file} missing": missing(file) for file in FILES},
    **{f"{file} a directory": made_a_directory(file) for file in FILES},
    **{f"{file} of another step": of_another_step(file) for file in FILES},
    **{
        f"manifest {text[:20]}": replaced("manifest.json", text)
        for text in (
            "{}",
            "[]",
            "null",
            "0",
            '["state.json", "state.safetensors"]',
            '{"state.json": null, "state.safetensors": null}',
            '{"../x": {"bytes": 0, "sha256": ""}}',
            "[" * 100_000,
            "\x00" * 300,
        )
    },
    "all files missing": emptied,
    "a file in its place": made_a_file,
}
RESUMED = ["state.safetensors cut to 0.5", "manifest null", "state.json a directory", "a file in its place"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped at step 6, with checkpoints of steps 4 and 6."""
    return start(tmp_path_factory.mktemp("sound"), steps=6)


def assert_skipped(checkpoints: Path) -> None:
    step, skipped = checkpoint.newest(checkpoints)
    assert step == 4
    assert len(skipped) == 1
    assert str(checkpoints / "step-6") in skipped[0]
    assert "\n" not in skipped[0]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_checkpoint_is_skipped(damage: str, sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound / "checkpoints", tmp_path / "checkpoints")
    DAMAGES[damage](tmp_path / "checkpoints" / "step-6")
    assert_skipped(tmp_path / "checkpoints")


def test_every_flipped_bit_is_noticed(sound: Path, tmp_path: Path) -> None:
    checkpoints, places = tmp_path / "checkpoints", random.Random(0)
    shutil.copytree(sound / "checkpoints", checkpoints)
    for index in range(210):
        file = checkpoints / "step-6" / FILES[index % 3]
        whole = file.read_bytes()
        flipped = bytearray(whole)
        flipped[places.randrange(len(whole))] ^= 1 << places.randrange(8)
        file.write_bytes(flipped)
        assert_skipped(checkpoints)
        file.write_bytes(whole)
    assert checkpoint.newest(checkpoints) == (6, [])


@pytest.mark.parametrize("damage", RESUMED)
def test_run_goes_on_before_a_damaged_checkpoint(damage: str, sound: Path, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(sound, where(tmp_path))
    DAMAGES[damage](where(tmp_path) / "checkpoints" / "step-6")
    told = Told()
    zoo.resume(where(tmp_path), progress=told)
    (note,) = [note for note in told.notes if note.startswith("skipped a checkpoint: ")]
    assert str(where(tmp_path) / "checkpoints" / "step-6") in note
    assert_survived(tmp_path, whole)
    assert held_in(where(tmp_path)).keys() == held_in(whole).keys()


def test_what_still_verifies_is_kept_until_another_does(sound: Path, whole: Path, tmp_path: Path) -> None:
    """The newest checkpoint is damaged, and there is no room for another: the one before it stays."""
    shutil.copytree(sound, where(tmp_path))
    checkpoints = where(tmp_path) / "checkpoints"
    DAMAGES["state.json missing"](checkpoints / "step-6")
    before = held_in(checkpoints)
    room = (size(where(tmp_path) / record.MODEL) + size(checkpoints / "step-4" / "state.safetensors")) // 2
    assert_refused(on_a_full_disk(room, "train", "--resume", where(tmp_path)), "the checkpoint")
    assert held_in(checkpoints) == before
    assert_survived(tmp_path, whole)


def test_no_checkpoint_verifies(sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound, where(tmp_path))
    for step in (4, 6):
        DAMAGES["manifest null"](where(tmp_path) / "checkpoints" / f"step-{step}")
    before = held_in(where(tmp_path))
    child = fork(command("train", "--resume", where(tmp_path)))
    assert child.wait() == 5
    assert child.said.startswith(f"error: no usable checkpoint in {where(tmp_path)}/checkpoints\n")
    assert child.said.count("\n") == 3
    assert held_in(where(tmp_path)) == before


@pytest.mark.parametrize("text", ["", "{", "null", '{"choices": {}}', "\x00"])
def test_damaged_record_is_not_guessed(text: str, sound: Path, whole: Path, tmp_path: Path) -> None:
    """What a resume must repeat is not chosen anew in silence."""
    shutil.copytree(sound, where(tmp_path))
    file = where(tmp_path) / record.RUN
    file.write_text(text)
    with pytest.raises(zoo.DamagedFile, match=r"run\.json does not record the runtime of the run"):
        zoo.resume(where(tmp_path))
    file.unlink()
    assert_survived(tmp_path, whole)


@pytest.mark.parametrize("line", [b"\x00\xff", b"{}", b"null", b'{"step": Infinity}', b"[" * 100_000])
def test_damaged_row(line: bytes, sound: Path, whole: Path, tmp_path: Path) -> None:
    """Among rows that stay it stays; after the checkpoint it goes."""
    shutil.copytree(sound, where(tmp_path))
    log = where(tmp_path) / record.METRICS
    first, *rows = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([first, line, b"\n", *rows, line, b"\n"]))
    zoo.resume(where(tmp_path))
    assert log.read_bytes().count(line + b"\n") == 1
    log.write_bytes(log.read_bytes().replace(line + b"\n", b""))
    assert_same_run(where(tmp_path), whole)
