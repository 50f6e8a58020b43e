"""A run directory: what a training leaves behind, and how to find it again."""

from __future__ import annotations

import json
import platform
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from . import __version__
from .engine import Choices
from .errors import UsageError
from .files import write_whole
from .spec import Spec, load_spec
from .spec.yaml import write_yaml

CHECKPOINTS, METRICS, MODEL, RESOLVED, RUN, SAMPLES = (
    "checkpoints", "metrics.jsonl", "model.safetensors", "resolved.yaml", "run.json", "samples"
)  # fmt: skip


@dataclass
class Run:
    """What a training came to."""

    directory: Path
    steps: int = 0
    seconds: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    split: str = "train"
    """Where ``metrics`` were measured: ``test`` once a run has finished, ``train`` where it stopped before."""

    @property
    def model(self) -> Path:
        """The run's share file."""
        return self.directory / MODEL


def new_directory(spec: Spec, runs: Path, name: str | None) -> Path:
    """Where a new run will be; nothing is written yet."""
    called = name or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    if Path(called).name != called:
        raise UsageError(f"'{called}' is no name for a run: it is one word, without a path")
    directory = runs / spec.name / called
    if (directory / RESOLVED).exists():
        raise UsageError(f"{directory} is a run already; go on with --resume, or choose another name")
    return directory


def create(directory: Path, spec: Spec, text: str) -> None:
    """Make a run's directory, with the spec as given and as resolved."""
    resolved = write_yaml(spec.resolved())
    write_whole(directory / "spec.yaml", lambda aside: _write(aside, text))
    write_whole(directory / RESOLVED, lambda aside: _write(aside, resolved))


def spec_of(directory: Path) -> Spec:
    """The resolved spec of a run."""
    if not directory.exists():
        raise UsageError(f"there is no run {directory}")
    if not (directory / RESOLVED).is_file():
        raise UsageError(f"{directory} is no run: it has no {RESOLVED}")
    return load_spec(directory / RESOLVED)


def choices_of(directory: Path) -> Choices | None:
    """What a run was computed on, which a resume must repeat; None where it never started."""
    try:
        return Choices(**json.loads((directory / RUN).read_text())["choices"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def record(directory: Path, choices: Choices, **facts: Any) -> None:
    """Write ``run.json``: host, versions, times and choices. Nothing that is computed from depends on it."""
    known = {
        "zoo": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "host": platform.node(),
        "platform": platform.platform(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "choices": choices.to_dict(),
        **facts,
    }
    write_whole(directory / RUN, lambda aside: _write(aside, json.dumps(known, indent=1)))


def model_file(run_or_file: Path) -> Path:
    """The share file of a run directory, or the share file itself."""
    if not run_or_file.exists():
        raise UsageError(f"there is no run or file {run_or_file}")
    if not run_or_file.is_dir():
        return run_or_file
    if not (run_or_file / MODEL).is_file():
        what = "has no model yet" if (run_or_file / RESOLVED).is_file() else "is no run"
        raise UsageError(f"{run_or_file} {what}: it has no {MODEL}")
    return run_or_file / MODEL


class MetricsLog:
    """``metrics.jsonl``: one row a line; rows after the checkpoint that a resume starts from are cut."""

    def __init__(self, directory: Path, since: int) -> None:
        self.path = directory / METRICS
        kept = [line for line in self._lines() if json.loads(line)["step"] <= since]
        write_whole(self.path, lambda aside: _write(aside, "".join(f"{line}\n" for line in kept)))
        self._file = self.path.open("a")

    def write(self, row: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _lines(self) -> list[str]:
        if not self.path.exists():
            return []
        text = self.path.read_text()
        # A line without its end is what a kill left of a row.
        return text[: text.rfind("\n") + 1].splitlines()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
