"""Writes that go on while training does."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Background:
    """One thread that writes in order, one write at a time; an error is raised at the next call."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "zoo-write")
        self._pending: Future[object] | None = None

    def submit(self, write: Callable[[], object]) -> None:
        """Start a write once the one before it is done."""
        self.wait()
        self._pending = self._thread.submit(write)

    def wait(self) -> None:
        """Return when everything is on the disk."""
        if self._pending is None:
            return
        try:
            self._pending.result()
        finally:
            # An interrupt may end the waiting before the write: then it is still to be waited for.
            if self._pending.done():
                self._pending = None

    def close(self) -> None:
        """Finish the last write and stop the thread."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()
