"""Run directory: the files of a training run, and how to find them."""

from __future__ import annotations

import json
import math
import os
import platform
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..distribution import install_hint
from ..document.yaml import write_yaml
from ..engine.runtime import Choices
from ..errors import DamagedFile, UsageError, ZooError, nearest
from ..format.header import canonical, read_header
from ..hub.address import is_address
from ..hub.client import fetch
from ..registry import trust
from ..registry.python_file import PythonFile, is_python_file
from ..registry.registry import installed
from ..registry.shipped import has_own_weights, shipped_specs, shipped_weights
from ..spec import Spec, bring_python_files, load_spec
from ..storage.atomic import remove, sync, write_new, write_whole
from .pace import Pace
from .record import METRICS, MODEL, RESOLVED, RUN, facts_of, is_run, status_of

CHECKPOINTS, SAMPLES = "checkpoints", "samples"
_NAME = re.compile(r"[^\W_][\w.+=-]{0,127}")
"""What a run may be called: no path, nothing hidden, nothing that a command takes for an option or an address."""


@dataclass(init=False)
class Run:
    """Record of a training run, read from its directory.

    ``metrics`` were measured on the ``split``: ``test`` once a run has finished, ``train`` where it stopped before.
    UsageError for a directory that is not a run.
    """

    directory: Path
    steps: int
    seconds: float
    metrics: Mapping[str, float]
    split: str

    def __init__(
        self,
        directory: str | Path,
        steps: int | None = None,
        seconds: float | None = None,
        metrics: Mapping[str, float] | None = None,
        split: str = "train",
    ) -> None:
        self.directory = Path(directory)
        facts = facts_of(self.directory) if steps is None or seconds is None else {}
        self.steps = facts.get("step", 0) if steps is None else steps
        self.seconds = facts.get("seconds", 0.0) if seconds is None else seconds
        self.metrics, self.split = _measured(self.directory) if metrics is None else (metrics, split)

    @property
    def status(self) -> str:
        """``running``, ``finished``, ``stopped`` (by ``steps``), ``interrupted`` (by a signal) or ``failed``.

        ``killed`` where ``run.json`` says that it is running, and no process trains it; empty where it never started.
        """
        return status_of(self.directory, facts_of(self.directory))

    @property
    def model(self) -> Path:
        """The run's share file."""
        return self.directory / MODEL


def new_directory(spec: Spec, runs: Path, name: str | None) -> Path:
    """The directory of a new run; nothing is written yet."""
    called = name or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    if not _NAME.fullmatch(called):
        raise UsageError(
            f"invalid run name '{called}': expected at most 128 letters, digits and . _ - + =, starting with "
            "a letter or a digit"
        )
    directory = runs / spec.name / called
    _refuse_run(directory)
    return directory


def create(directory: Path, spec: Spec, text: str) -> None:
    """Make a run's directory, with the spec as given and as resolved; of several processes one does.

    From now on this user is known to have trained with the Python files and the data that the spec names.
    """
    resolved = write_yaml(spec.resolved())
    try:
        _refuse_run(directory)
        write_whole(directory / "spec.yaml", lambda aside: _write(aside, text))
        for file in python_files(spec):
            _keep(directory, file)
            trust.remember(file.text, f"{file.path.resolve()}, by {directory.resolve()}")
        trust.remember(data_named(spec), f"data of {directory.resolve()}")
        trust.remember(metrics_named(spec), f"metrics of {directory.resolve()}")
        write_new(directory / RESOLVED, lambda aside: _write(aside, resolved))
    except ZooError:
        # Another process was first, and may have swept away what this one was writing.
        _refuse_run(directory)
        raise
    sweep(directory)


def python_files(spec: Spec) -> list[PythonFile]:
    """The Python files that brought parts of the spec, as they were when it was read."""
    found = [installed().file(Path(entry).stem) for entry in spec.plugins if is_python_file(entry)]
    return [file for file in found if file is not None]


def data_named(spec: Spec) -> bytes:
    """The declaration of a spec's data, as in the record of trusted data."""
    return canonical(spec.data.resolved()).encode()


def metrics_named(spec: Spec) -> bytes:
    """The declaration of a spec's metrics, as in the record of trusted data."""
    return canonical([part.resolved() for part in spec.evaluate.metrics]).encode()


def spec_of(directory: Path, *, trust: bool = False) -> Spec:
    """The resolved spec of a run; ``trust`` as `zoo.load_spec` has it."""
    if is_run(directory):
        return load_spec(directory / RESOLVED, trust=trust)
    if not directory.exists():
        raise UsageError(f"run not found: {directory}")
    raise UsageError(f"{directory} is not a run: it has no {RESOLVED}")


def sweep(directory: Path) -> None:
    """Remove incomplete files and checkpoints of a killed process. Only its owner may call this."""
    for half in (
        *directory.glob(".*.tmp"), *(directory / SAMPLES).glob(".*.tmp"), *(directory / CHECKPOINTS).glob("step-*.tmp")
    ):  # fmt: skip
        remove(half)


def _measured(directory: Path) -> tuple[Mapping[str, float], str]:
    """The figures of a run and the split they are of: those of its model, or those of the last row of training."""
    if (directory / MODEL).is_file():
        recorded = read_header(directory / MODEL).meta["metrics"]
        if figures := recorded.get("figures"):
            values = {name: figure["value"] for name, figure in figures.items()}
            return {name: math.nan if v is None else v for name, v in values.items()}, recorded.get("split", "test")
    try:
        lines = (directory / METRICS).read_bytes().split(b"\n")
    except OSError:
        lines = []
    rows = [row for line in lines if (row := _row(line)).get("split") == "train"]
    last = rows[-1] if rows else {}
    return {name: value for name, value in last.items() if name not in ("step", "split", "lr")}, "train"


def choices_of(directory: Path) -> Choices | None:
    """The runtime choices of a run, which a resume must repeat; None if it never started.

    Raises `zoo.DamagedFile` where that cannot be read any more.
    """
    file = directory / RUN
    try:
        return Choices(**json.loads(file.read_bytes())["choices"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{file} could not be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedFile(
            f"{file} does not record the runtime of the run ({type(error).__name__}: {error}); remove it to choose the "
            "runtime again, which may change the bits"
        ) from None


def pace_of(directory: Path) -> Pace:
    """The pace of all sessions of a run; no steps where it was not recorded."""
    facts = facts_of(directory) if is_run(directory) else {}
    try:
        return Pace(**facts["pace"])
    except (KeyError, TypeError):
        return Pace()


def record(directory: Path, choices: Choices, pace: Pace, **facts: Any) -> None:
    """Write ``run.json``: host, versions, times and choices. Nothing that is computed from depends on it."""
    known = {
        "zoo": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "host": platform.node(),
        "platform": platform.platform(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "choices": choices.to_dict(),
        "pace": asdict(pace),
        **facts,
    }
    write_whole(directory / RUN, lambda aside: _write(aside, json.dumps(known, indent=1)))


def file_to_open(target: str | Path, *, trust: bool = False) -> Path:
    """The share file of a run or an address, or the share file itself, for a command that needs its model.

    Of a run, what it kept of the Python files that its spec named is executed, as by a resume, where this user has
    trained with them here, or says to ``trust`` them; of a file, nothing is.
    """
    file = model_file(target)
    if not is_address(target) and is_run(Path(target)):
        bring_python_files(Path(target) / RESOLVED, trust=trust)
    return file


def model_file(target: str | Path) -> Path:
    """The share file of a run directory, at an ``hf://`` address, or of a shipped spec's name; or the file itself.

    Nothing of it is executed. A run or a file comes before the name of a spec.
    """
    if is_address(target):
        return fetch(str(target))
    run_or_file = Path(target)
    if not run_or_file.exists():
        if file := shipped_weights().get(str(target)):
            return file
        raise UsageError(_not_found(str(target)))
    if not run_or_file.is_dir():
        return run_or_file
    if not (run_or_file / MODEL).is_file():
        what = "has no model yet" if (run_or_file / RESOLVED).is_file() else "is not a run"
        newest = max(run_or_file.glob(f"*/{RESOLVED}"), key=lambda file: file.parent.name, default=None)
        hint = f"; it contains runs, such as {newest.parent}" if newest else ""
        raise UsageError(f"{run_or_file} {what}: it has no {MODEL}{hint}")
    return run_or_file / MODEL


def _not_found(target: str) -> str:
    """Message for a target that exists neither as a run nor as a file, and has no weights here."""
    if target not in shipped_specs():
        hint = "" if "/" in target else nearest(target, shipped_specs())
        return f"run or file not found: {target}{hint}"
    remedies = [f"train it by: zoo train {target}"]
    if "." not in target and not has_own_weights():
        remedies.insert(0, f"get trained weights by: {install_hint('weights')}")
    return f"'{target}' is a spec, and no trained weights of it are installed; {', or '.join(remedies)}"


class MetricsLog:
    """``metrics.jsonl``: one row a line; rows after the checkpoint that a resume starts from are cut."""

    def __init__(self, directory: Path, since: int) -> None:
        self.path = directory / METRICS
        kept = b"".join(_until(self._lines(), since))
        write_whole(self.path, lambda aside: aside.write_bytes(kept))
        self._file = self.path.open("ab", buffering=0)

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row; where the disk has no room for all of it, none of it stays."""
        line, end = f"{json.dumps(row)}\n".encode(), self._file.seek(0, os.SEEK_END)
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            self._file.truncate(end)
            raise ZooError(f"{self.path} could not be written: {error.strerror}") from error

    def sync(self) -> None:
        """Wait until every row is on the disk: a checkpoint must not be there before the rows up to it."""
        try:
            sync(self.path)
        except OSError as error:
            raise ZooError(f"{self.path} could not be written: {error.strerror}") from error

    def close(self) -> None:
        self._file.close()

    def _lines(self) -> list[bytes]:
        try:
            # The last is what a kill left of a row, if anything: no row that can be read, and cut with what is late.
            return [line + b"\n" for line in self.path.read_bytes().split(b"\n")]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ZooError(f"{self.path} could not be read: {error.strerror}") from error


def _until(lines: list[bytes], step: int) -> list[bytes]:
    """The lines up to the last row of this step; unreadable lines among them are unchanged."""
    last = max((index for index, line in enumerate(lines, 1) if _step_of(line) <= step), default=0)
    return lines[:last]


def _step_of(line: bytes) -> float:
    step = _row(line).get("step")
    return step if isinstance(step, int) else math.inf


def _row(line: bytes) -> dict[str, Any]:
    """A row of ``metrics.jsonl``; empty if it cannot be read."""
    try:
        row = json.loads(line)
        return row if isinstance(row, dict) else {}
    except (ValueError, RecursionError):
        return {}


def _refuse_run(directory: Path) -> None:
    if is_run(directory):
        raise UsageError(f"{directory} already exists: resume it with --resume, or choose another name")


def _keep(directory: Path, file: PythonFile) -> None:
    write_whole(directory / file.path.name, lambda aside: aside.write_bytes(file.text))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
