"""Provenance of a run: all that its bits depend on. Checkpoints record it, and a run resumes only if it is equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch

from ..document.differences import ABSENT, differences
from ..errors import DamagedFile, Problem, UsageError
from ..format.header import read_header
from ..format.metadata import Parents, are_parents
from ..registry.registry import installed
from ..run import checkpoint, record
from ..run import directory as run
from ..spec import Spec

MAY_CHANGE = (
    "name", "description", "published", "plugins", "evaluate", "sample",
    "train.log_every", "train.checkpoint_every", "train.sample_every", "train.validate_every", "train.patience",
    "train.views", "train.sinks", "engine.requeue", "engine.keep_freed_memory",
)  # fmt: skip
"""Keys of a run's resolved spec that may be edited between two sessions: they are read anew, and change no weights."""
KEY = "made_of"
SHOWN = 8
"""Differences that an error names."""


def made_of(spec: Spec, data: str, parent: Parents) -> dict[str, Any]:
    """The record of a checkpoint: the resolved spec, the fingerprint of the data, the distributions of the parts, the
    parent.
    """
    return {"spec": spec.resolved(), "data": data, "versions": _versions(spec), "parent": parent}


def recorded(directory: Path, step: int) -> Mapping[str, Any]:
    """The provenance of a run's checkpoint; empty if it is older than this record."""
    path = directory / run.CHECKPOINTS / f"step-{step}"
    found: Mapping[str, Any] | None = checkpoint.read_plain(path, KEY)
    if not is_record(found):
        raise DamagedFile(f"{path}: '{KEY}' is not a valid record of a checkpoint's spec, data and versions")
    return found or {}


def is_record(found: Any) -> bool:
    """Whether a value has the form of `made_of`; None is that of older checkpoints."""
    if not isinstance(found, Mapping):
        return found is None
    sound = found.keys() == {"spec", "data", "versions", "parent"} and isinstance(found["data"], str)
    sound = sound and are_parents(found["parent"])
    sound = sound and isinstance(found["spec"], Mapping) and isinstance(found["versions"], Mapping)
    return sound and all(isinstance(text, str) for pair in found["versions"].items() for text in pair)


def parent_of(directory: Path, step: int) -> Parents:
    """The digests of the share files that a run's weights started from."""
    before = recorded(directory, step)
    if before or not (directory / record.MODEL).is_file():
        return before.get("parent")
    parent: Parents = read_header(directory / record.MODEL).meta["parent"]
    return parent


def require_same(directory: Path, step: int, spec: Spec, data: Callable[[], str], say: Callable[[str], None]) -> None:
    """UsageError with every difference if a run's checkpoint has another spec or other data.

    Other versions of what brought its parts may give other bits; ``say`` gets a line on them.
    """
    before = recorded(directory, step)
    if not before:
        return
    found = [str(problem) for problem in changes(spec, before["spec"])]
    if not found and (now := data()) != before["data"]:
        found = [f"data: the examples of the train split have changed: fingerprint {before['data']}, now {now}"]
    if found:
        raise UsageError(
            f"{directory} cannot be resumed: it differs from the run that was saved at step {step}\n{shown(found)}\n"
            f"Undo the changes, or start a new run with --set init_from={directory / record.MODEL}"
        )
    now_here = _versions(spec)
    for name, version in before["versions"].items():
        if now_here.get(name) != version:
            say(f"warning: saved with {name} {version}, resumed with {now_here.get(name)}: the bits may differ")


def changes(spec: Spec, before: Mapping[str, Any]) -> Iterator[Problem]:
    """The changes of a resolved spec that must not change, each with its line."""
    for difference in differences(before, spec.resolved()):
        path, (was, now) = difference.path, difference.both()
        if difference.left is ABSENT and not now:  # a key that there was not yet, at its default
            continue
        if not any(path == key or path.startswith((f"{key}.", f"{key}[")) for key in MAY_CHANGE):
            text = f"was {shorten(str(was), 60)} when the run was saved, and is {shorten(str(now), 60)} now"
            yield spec.problem(path, text)


def shown(found: list[str]) -> str:
    """Lines of a message, as many as a person reads."""
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return "\n".join(f"    {line}".replace("\n", "\n    ") for line in [*found[:SHOWN], *more])


def _versions(spec: Spec) -> dict[str, str]:
    """The distributions of the parts of a spec, and torch, with versions."""
    plugins = (installed().plugin_of(part.cls) for part in spec.parts())
    return {"torch": torch.__version__} | {plugin.distribution: plugin.version for plugin in plugins}
