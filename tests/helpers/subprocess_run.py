"""Work in a forked child of the test process: torch is loaded there already, and the child may be killed."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import traceback
import weakref
from collections.abc import Callable
from typing import BinaryIO, NoReturn

import pytest
import torch

from zoo import ZooError


class Child:
    """A process that works for a test; what it prints is kept. It does not outlive the tests."""

    def __init__(self, pid: int, log: BinaryIO) -> None:
        self.pid = pid
        self._log = log
        self._left: int | None = None
        self._end = weakref.finalize(self, _end, os.getpid(), pid)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal; nothing where the child has been waited for."""
        if self._left is None:
            os.kill(self.pid, number)

    def wait(self, timeout: float = 60.0) -> int:
        """The exit code, or the negative number of the signal that killed it; the test fails after ``timeout`` s."""
        until = time.monotonic() + timeout
        while self._left is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._end.detach()
                self._left = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > until:
                self._end()
                pytest.fail(f"the child did not end within {timeout:g} seconds; it said:\n{self.said}")
            else:
                time.sleep(0.002)
        return self._left

    @property
    def said(self) -> str:
        """All that it printed so far, on standard output and standard error."""
        log = self._log.fileno()
        # Its place in the file is the child's as well: it stays where it is.
        return os.pread(log, os.fstat(log).st_size, 0).decode()


def fork(work: Callable[[], object]) -> Child:
    """Run ``work`` in a child; it leaves with 0, with a `ZooError`'s code, or with 1 and a traceback."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        pytest.skip("a process that has used CUDA cannot be forked")
    log: BinaryIO = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
    pid = os.fork()
    if not pid:
        _work(work, log.fileno())
    return Child(pid, log)


def _work(work: Callable[[], object], log: int) -> NoReturn:
    """Never returns: what the test process does at its end is not the child's to do."""
    code = 1
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
        code = _run(work)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _run(work: Callable[[], object]) -> int:
    try:
        work()
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _end(owner: int, pid: int) -> None:
    """Kill and bury a child, if it is our own: a child has copies of its siblings."""
    if os.getpid() == owner:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
