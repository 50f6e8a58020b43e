"""The file that a command is asked to write: of an ending that says its form, and none of a run's own."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..errors import UsageError
from .trust import RESOLVED

DEEPEST = 3
"""How many folders a run's files are below it, at most: ``checkpoints/step-N/state.json``."""


def ending(path: Path) -> str:
    """The ending of a file's name, in lower case: ``.PNG`` is ``.png``."""
    return path.suffix.lower()


def output(path: Path, endings: Collection[str]) -> Path:
    """The path to write to, checked before there is anything to write.

    That is the path itself, or where it leads if it is a symbolic link: the link stays. UsageError for another ending
    than these, and for a file that belongs to a run, whatever it would be replaced by.
    """
    if ending(path) not in endings:
        raise UsageError(f"'{path}' must end in {' or '.join(endings) if len(endings) < 3 else _one_of(endings)}")
    try:
        target = path.resolve() if path.is_symlink() else path
        if ending(target) != ending(path):
            raise UsageError(f"'{path}' is a link to {target}, which must end in {ending(path)} as well")
        run = next((home for home in list(target.absolute().parents)[:DEEPEST] if (home / RESOLVED).is_file()), None)
        if run is not None and target.exists():
            raise UsageError(f"{path} is a file of the run {run}: choose another output")
    except (OSError, RuntimeError) as error:  # the second of a loop of links, in Python below 3.13
        raise UsageError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from None
    return target


def _one_of(endings: Collection[str]) -> str:
    return f"one of {', '.join(endings)}"
