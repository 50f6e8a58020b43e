"""Stored results of a table in a run's directory: its figures, or that it diverged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import Diverged
from ..inference.evaluate import evaluate, protocol
from ..run.record import MODEL, RUN
from ..share.file import read_share
from ..spec import Spec
from ..storage.atomic import write_whole
from .draw_time import seconds_per_draw

KEPT = "table.json"


@dataclass(frozen=True)
class Scored:
    """A finished run: figures on the held-out split with n and kind; ``key`` identifies the weights."""

    key: Mapping[str, Any]
    parameters: int
    figures: Mapping[str, Mapping[str, Any]]
    seconds_per_draw: float | None = None
    """CPU seconds of a draw, where they were asked for and the model samples."""


def score(directory: Path, spec: Spec, device: str) -> Scored:
    """The figures of a run by the metrics of a spec: stored ones unless metrics or weights have changed."""
    share = read_share(directory / MODEL)
    header = share.header
    declared = [part.resolved() for part in spec.evaluate.metrics]
    key = {"declared": declared, "step": header.meta["step"], "digest": header.meta["digest"]}
    kept = _kept(directory)
    if kept.get("key") == key:
        return Scored(**kept)
    recorded = header.meta["metrics"]
    if recorded.get("declared") != declared or recorded.get("split") != "test":
        recorded = protocol(evaluate(share, spec, device), spec, "test")
    count = sum(p.numel() for p in share.model().parameters())
    scored = Scored(key, count, recorded["figures"])
    _keep(directory, asdict(scored))
    return scored


def timed(directory: Path, scored: Scored) -> Scored:
    """The figures of a run with the CPU seconds of a draw: the stored ones unless its weights have changed."""
    if scored.seconds_per_draw is not None:
        return scored
    found = replace(scored, seconds_per_draw=seconds_per_draw(read_share(directory / MODEL).model()))
    _keep(directory, asdict(found))
    return found


def diverged(directory: Path) -> bool:
    """Whether a run is known to have diverged: the same spec would again."""
    return "diverged" in _kept(directory)


def keep_diverged(directory: Path, error: Diverged) -> None:
    """Remember that a run diverged."""
    _keep(directory, {"diverged": {"step": error.step, "terms": list(error.terms)}})


def finished(directory: Path) -> bool:
    """Whether a run came to its end."""
    return _facts(directory).get("status") == "finished" and (directory / MODEL).is_file()


def _facts(directory: Path) -> Mapping[str, Any]:
    return _read(directory / RUN)


def _kept(directory: Path) -> Mapping[str, Any]:
    return _read(directory / KEPT)


def _read(file: Path) -> Mapping[str, Any]:
    """A JSON object; nothing of one that is not there or cannot be read."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _keep(directory: Path, value: Mapping[str, Any]) -> None:
    text = json.dumps(value, indent=1)
    write_whole(directory / KEPT, lambda aside: aside.write_text(text, encoding="utf-8"))
