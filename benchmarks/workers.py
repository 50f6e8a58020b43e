"""Contenders in processes of their own: for settings that a whole process shares, and for its peak memory.

The parent still interleaves them: only one of the children works at a time.
"""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import torch

from zoo.engine.runtime import keep_freed_memory

from .harness import Block


class Usage(NamedTuple):
    """Of a process since its start: the most bytes resident, libraries included, and pages faulted in."""

    peak: int
    faults: int

    @property
    def mebibytes(self) -> str:
        return f"{self.peak / 2**20:.0f}"


class Worker:
    """A child process with one contender; calling the worker runs a block there.

    ``build(*args)`` is called in the child and gives the block; both are pickled.
    """

    def __init__(self, build: Callable[..., Block], *args: Any, threads: int, keep_freed: bool = False) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, build, args, threads, keep_freed), daemon=True)
        self._process.start()
        theirs.close()

    def __call__(self, steps: int) -> float:
        seconds, _ = self._ask(steps)
        return seconds

    def usage(self) -> Usage:
        """What the child has used so far."""
        _, usage = self._ask(0)
        return usage

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()
        self._process.join()

    def _ask(self, steps: int) -> tuple[float, Usage]:
        self._connection.send(steps)
        answer: tuple[float, Usage] = self._connection.recv()
        return answer


def peak_resident() -> int:
    """``VmHWM`` of this process, in bytes. (``ru_maxrss`` would count what the parent had when it forked.)"""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("this kernel does not report VmHWM")


def _serve(
    connection: Connection, build: Callable[..., Block], args: tuple[Any, ...], threads: int, keep_freed: bool
) -> None:
    if keep_freed and not keep_freed_memory():
        raise OSError("there is no glibc here to keep freed memory")
    torch.set_num_threads(threads)
    block = build(*args)
    while True:
        try:
            steps = connection.recv()
        except EOFError:
            return
        seconds = block(steps) if steps else 0.0
        connection.send((seconds, Usage(peak_resident(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt)))
