"""The record of a run, ``run.json``, and whether a folder is one: read without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..registry import trust
from ..storage.lock import is_held

METRICS, MODEL, RESOLVED, RUN = "metrics.jsonl", "model.safetensors", trust.RESOLVED, "run.json"
TOTAL = "total_seconds"
"""Under which ``run.json`` adds up the seconds of all sessions."""


def is_run(directory: Path) -> bool:
    """Whether a run has begun there."""
    try:
        return (directory / RESOLVED).is_file()
    except PermissionError as error:
        raise UsageError(f"{directory} cannot be read: {error.strerror}") from None


def facts_of(directory: Path) -> dict[str, Any]:
    """The content of ``run.json``; empty if it is missing or cannot be read."""
    if not is_run(directory):
        raise UsageError(f"{directory} is not a run: it has no {RESOLVED}")
    try:
        found = json.loads((directory / RUN).read_bytes())
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError, RecursionError):
        return {}


def trained_seconds(directory: Path) -> float | None:
    """The duration of all sessions of a run; None if it was not recorded."""
    facts = facts_of(directory) if is_run(directory) else {}
    try:
        if TOTAL in facts:
            return float(facts[TOTAL])
        # Sessions were not added up once: all steps, at the pace of the last one.
        return float(facts["seconds"] * facts["step"] / (facts["step"] - facts["since"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def status_of(directory: Path, facts: Mapping[str, Any]) -> str:
    """The status that a run's record states; ``killed`` where it states ``running`` and no process trains it."""
    said = str(facts.get("status", ""))
    return "killed" if said == "running" and not is_held(directory / RESOLVED) else said
