"""Record of what this user has trained with on this machine: Python files and declarations of data.

What comes with somebody's run or file is compared with this record: whether a run's Python file may be executed, and
whether the data that a share file names may be read. The record is of contents, so a file that was edited is not in it.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from ..errors import PluginError, ZooError
from ..storage.atomic import make_directory, write_whole
from .python_file import PythonFile

RESOLVED = "resolved.yaml"
"""The file by which a directory is a run."""


def state_home() -> Path:
    """The folder of persistent state: ``$ZOO_STATE``, or ``zoo`` in the user's state directory."""
    own, system = os.environ.get("ZOO_STATE"), os.environ.get("XDG_STATE_HOME")
    return Path(own) if own else (Path(system) if system else Path.home() / ".local" / "state") / "zoo"


def remember(content: bytes, what: str) -> None:
    """Record a content; ``what`` describes it for readers of the record."""
    file = _record(content)
    with suppress(OSError, ZooError):
        make_directory(file.parent)
        text = f"{what}\n".encode(errors="backslashreplace")
        write_whole(file, lambda aside: aside.write_bytes(text))


def remembers(content: bytes) -> bool:
    """Whether this user has trained with a content on this machine."""
    try:
        return _record(content).is_file()
    except OSError:
        return False


def in_run(path: Path) -> bool:
    """Whether a file lies in a run directory, at any depth."""
    try:
        return any((folder / RESOLVED).is_file() for folder in path.absolute().parents)
    except OSError:
        return False


def require(file: PythonFile) -> None:
    """PluginError unless this user has trained with a Python file of a run."""
    if not remembers(file.text):
        raise PluginError(
            f"{file.path} is a Python file of a run that was not trained here: it is not executed. Read it, then add "
            "--trust (in Python: trust=True)"
        )


def _record(content: bytes) -> Path:
    return state_home() / "trained-with" / hashlib.sha256(content).hexdigest()
