"""A run that something befalls, and that must go on to the bits of an undisturbed one."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from run_equality import assert_same_run
from small_runs import FLOW
from subprocess_run import Child, fork

import zoo
from zoo.cli.app import app
from zoo.run import checkpoint, record
from zoo.run import directory as run
from zoo.spec import load_spec

NAME = "disturbed"


def spec() -> zoo.Spec:
    """Some hundred milliseconds, in which every kind of file is written, and checkpoints are pruned."""
    return load_spec(FLOW | {"engine": {"compile": "off", "device": "cpu"}})


def start(home: Path, steps: int | None = None) -> Path:
    """Begin the run."""
    zoo.train(spec(), runs=home, name=NAME, steps=steps)
    return where(home)


def where(home: Path) -> Path:
    """The directory of the run."""
    return home / str(FLOW["name"]) / NAME


def go_on(home: Path) -> Path:
    """What a user does after a kill: resume, or start over where nothing has begun."""
    if not record.is_run(where(home)):
        return start(home)
    zoo.resume(where(home))
    return where(home)


def command(*arguments: object) -> Callable[[], None]:
    """``zoo`` with these arguments."""
    return lambda: app([str(argument) for argument in arguments])


@contextmanager
def limited(most: int) -> Iterator[None]:
    """Within this block no file of ours grows beyond so many bytes, as on a full disk."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def on_a_full_disk(most: int, *arguments: object) -> Child:
    """``zoo`` with these arguments in a child where no file has room for more than so many bytes."""

    def work() -> None:
        with limited(most):
            command(*arguments)()

    return fork(work)


def size(path: Path) -> int:
    return path.stat().st_size


def held_in(directory: Path) -> dict[str, bytes]:
    """Every file of a directory and what it holds; directories hold nothing."""
    return {
        str(path.relative_to(directory)): b"" if path.is_dir() else path.read_bytes()
        for path in sorted(directory.rglob("*"))
    }


def assert_tidy(directory: Path) -> None:
    """Nothing half-written is left."""
    assert [path for path in directory.rglob("*") if path.suffix == ".tmp" or path.name.startswith(".")] == []


def assert_survived(home: Path, whole: Path) -> None:
    """Whatever happened before: the run goes on, ends like the undisturbed one, and leaves nothing else behind."""
    log = where(home) / record.METRICS
    if log.exists():
        with log.open("a") as rest:
            rest.write('{"step": 5, "spl')  # a row may be torn at any moment
    directory = go_on(home)
    assert_same_run(directory, whole)
    assert_tidy(directory)
    # A kill amid the last pruning leaves more checkpoints, until the next is written; but no half of one.
    assert held_in(directory).keys() >= held_in(whole).keys()
    for step in checkpoint.steps(directory / run.CHECKPOINTS):
        checkpoint.verify(directory / run.CHECKPOINTS / f"step-{step}")
    assert run.choices_of(directory) == run.choices_of(whole)


def assert_refused(child: Child, what: str, reason: str = "", code: int = 1) -> None:
    """One clear line, the last, which names the file, and no traceback."""
    assert child.wait() == code, child.said
    errors = [line for line in child.said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, child.said
    assert child.said.endswith(errors[0] + "\n"), child.said
    assert errors[0].startswith(f"error: {what}")
    assert reason in errors[0]
    assert "Traceback" not in child.said
