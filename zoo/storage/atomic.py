"""Files that are whole or not there: written aside, synced, renamed."""

from __future__ import annotations

import errno
import io
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from ..errors import UsageError, ZooError


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file, then replace ``path`` by it; on failure the old file is intact."""
    _write_aside(path, write, Path.replace)


def write_new(path: Path, write: Callable[[Path], object]) -> None:
    """The same for a file that is not there yet: of several processes one writes it, the others get a UsageError."""
    _write_aside(path, write, _claim)


def write_through_memory(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let a library fill memory, and write that: given a file, some lose or disguise that bytes found no room."""
    written = io.BytesIO()
    write(written)
    path.write_bytes(written.getbuffer())


def make_directory(path: Path) -> None:
    """Make a directory and those above it that are missing, each of them on the disk."""
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(exist_ok=True)
        sync(path.parent)


def remove(path: Path) -> None:
    """Remove a file, or a directory with all that it holds, as far as the system lets us."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def sync(path: Path) -> None:
    """Wait until a file or a directory is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems cannot sync a directory, and say so.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise
    finally:
        os.close(handle)


def _write_aside(path: Path, write: Callable[[Path], object], place: Callable[[Path, Path], object]) -> None:
    aside: Path | None = None
    try:
        if path.exists() and not path.is_file():
            raise ZooError(f"{path} could not be written: it exists and is not a regular file")
        make_directory(path.parent)
        # A directory, since libraries put files of their own next to what they write.
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        file = aside / path.name
        file.touch()
        mode = file.stat().st_mode
        write(file)
        # Some libraries make files that nobody else may read.
        file.chmod(mode)
        sync(file)
        place(file, path)
        sync(path.parent)
    except OSError as error:
        raise ZooError(f"{path} could not be written: {error.strerror or error}") from error
    finally:
        if aside is not None:
            remove(aside)


def _claim(file: Path, path: Path) -> None:
    """Put a file in its place unless another stands there."""
    try:
        os.link(file, path)
    except OSError as error:
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} already exists: another process has just written it") from error
        # A file system without hard links.
        file.replace(path)
