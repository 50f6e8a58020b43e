"""One process at a time works on a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import UsageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def held(file: Path) -> Iterator[None]:
    """Within this block a file of ours is locked; UsageError where another process has it, or it is read-only.

    The kernel gives a lock back when its process ends, however it ends: nothing is ever left to clean up.
    """
    if fcntl is None:
        raise UsageError("training requires POSIX file locks: use Linux, macOS, or WSL on Windows")
    try:
        # Nothing is written, but a network file system locks only what may be.
        handle = file.open("r+b")
    except OSError as error:
        raise UsageError(f"{file} cannot be locked: {error.strerror}") from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another process is using {file.parent}; wait until it ends, or stop it") from None
        except OSError:
            # A file system without locks is no reason not to train.
            pass
        yield


def is_held(file: Path) -> bool:
    """Whether a process has the lock of a file now."""
    if fcntl is None:
        return False
    try:
        with file.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
