"""The runs of a folder, read without torch: a line for each."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import UsageError, nearest
from ..format.header import MAX_HEADER
from ..storage.lock import held
from .record import METRICS, MODEL, RESOLVED, facts_of, is_run, status_of, trained_seconds

RUNS = Path("runs")
"""Where runs are unless another folder is named."""
TAIL = 8192
"""Bytes at the end of ``metrics.jsonl`` that have its last rows."""
LAST = "@last"
"""The run that was trained last, wherever a command takes a run."""


@dataclass(frozen=True)
class RunLine:
    """One run: where it is, how far it is, and the figure of its model on held-out data.

    ``figure`` has the keys of a spec's ``reached``: metric, value, kind, n, standard_error. It is the one that the best
    weights were chosen by, or else of the first metric; None before a run has finished. ``seconds`` are those of all
    its sessions, ``size`` the bytes of all its files, ``time`` when its record was last written.
    """

    run: str
    spec: str
    name: str
    status: str
    step: int
    steps: int | None
    figure: Mapping[str, Any] | None
    time: datetime | None
    seconds: float | None
    size: int


def runs(root: Path = RUNS) -> list[RunLine]:
    """The runs below a folder, the last one first."""
    lines = [_line(directory) for directory in _directories(root)]
    return sorted(lines, key=lambda line: (line.time is not None, line.time or 0, line.run), reverse=True)


def last(root: Path = RUNS) -> Path:
    """The directory of the run that was trained last; UsageError without any."""
    found = [(time, directory) for directory in _directories(root) if (time := _time(facts_of(directory)))]
    if not found:
        raise UsageError(f"{LAST}: no run in {root}; train one by: zoo train SPEC")
    return max(found)[1]


def named(target: str, root: Path = RUNS) -> str:
    """A run or file as it was named, or the run that ``@last`` stands for; UsageError for another name with ``@``."""
    if target == LAST:
        return str(last(root))
    if target.startswith("@") and not Path(target).exists():
        raise UsageError(f"unknown run '{target}'{nearest(target, [LAST])}")
    return target


def delete(directories: list[Path]) -> int:
    """Delete runs with all their files, and folders of specs that become empty; the bytes that they had.

    UsageError, before anything is deleted, for what is not a run and for a run that a process works on.
    """
    for directory in directories:
        if not is_run(directory):
            raise UsageError(f"{directory} is not a run: it has no {RESOLVED}" if directory.exists() else
                             f"run not found: {directory}")  # fmt: skip
        with held(directory / RESOLVED):
            pass
    size = 0
    for directory in dict.fromkeys(directories):
        size += _size(directory)
        shutil.rmtree(directory)
        if directory.parent.resolve() != Path.cwd() and not any(directory.parent.iterdir()):
            directory.parent.rmdir()
    return size


def _directories(root: Path) -> Iterator[Path]:
    """The runs two folders deep, as training makes them; UsageError where a folder cannot be read."""
    try:
        for family in sorted(root.iterdir()) if root.is_dir() else []:
            if family.is_dir() and not family.name.startswith("."):
                yield from (directory for directory in sorted(family.iterdir()) if is_run(directory))
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}") from None


def _line(directory: Path) -> RunLine:
    facts = facts_of(directory)
    return RunLine(
        run=str(directory),
        spec=directory.parent.name,
        name=directory.name,
        status=status_of(directory, facts) or "begun",
        step=max(facts.get("step", 0), _logged(directory)),
        steps=facts.get("steps"),
        figure=_figure(directory),
        time=_time(facts),
        seconds=trained_seconds(directory),
        size=_size(directory),
    )


def _figure(directory: Path) -> Mapping[str, Any] | None:
    """The figure on held-out data that the model of a run is known by."""
    try:
        with (directory / MODEL).open("rb") as file:
            header = json.loads(file.read(min(int.from_bytes(file.read(8), "little"), MAX_HEADER)))
        meta = json.loads(header["__metadata__"]["zoo"])
        spec, measured = meta["spec"], meta["metrics"]
        metrics = spec["evaluate"] if isinstance(spec["evaluate"], list) else spec["evaluate"]["metrics"]
        figures = measured["figures"] if measured.get("split") == "test" else {}
        wanted = [(spec["train"]["best"] or {}).get("metric"), *(part["type"] for part in metrics)]
        name = next((name for name in (*wanted, *figures) if name in figures), None)
        return None if name is None else {"metric": name, **figures[name]}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, MemoryError):
        return None


def _logged(directory: Path) -> int:
    """The step of the last row that a run has written; its record has that of the last session's end."""
    try:
        with (directory / METRICS).open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - TAIL, 0))
            lines = file.read().splitlines()
    except OSError:
        return 0
    return next((step for line in reversed(lines) if (step := _step(line)) is not None), 0)


def _step(line: bytes) -> int | None:
    """The step of a row; None of what is not a whole row."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, LookupError, TypeError, RecursionError, OverflowError):
        return None


def _time(facts: Mapping[str, Any]) -> datetime | None:
    try:
        found = datetime.fromisoformat(facts["time"])
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except (KeyError, TypeError, ValueError):
        return None


def _size(directory: Path) -> int:
    return sum(_bytes(home, file) for home, _, files in os.walk(directory) for file in files)


def _bytes(home: str, file: str) -> int:
    try:
        return os.stat(f"{home}/{file}").st_size  # noqa: PTH116  (a path for each file would take half of the time)
    except OSError:  # gone meanwhile: its run is being trained
        return 0
