"""Several processes of one run on this machine, started and watched by torch's own elastic launcher."""

from __future__ import annotations

import logging
import os
import signal
import sys
import uuid
from collections.abc import Sequence
from dataclasses import fields
from types import FrameType
from typing import Any

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from ..errors import UsageError, ZooError
from .distributed import LAUNCHER, launched
from .signals import STOPS

SECONDS_TO_SAVE = 120
"""Seconds that stopping processes have to save, before they are killed."""


def to_start(asked: int | None, recorded: int) -> int:
    """The number of processes to start: none under another launcher, or if one process is enough.

    ``recorded`` is how many the run had when it began.
    """
    started = launched()
    if started is None:
        return asked or recorded
    if asked not in (None, started):
        raise UsageError(f"--processes {asked} does not match the {started} processes that the launcher has started")
    return 0


def launch(processes: int, arguments: Sequence[str]) -> int:
    """Run ``zoo`` with these arguments in as many processes; the exit code of the first that failed, or 0.

    Raises `ZooError` where one of them was killed: the others cannot go on without it, and are ended. A signal is
    handed on to all; a second one kills them.
    """
    _settle(processes)
    for each in STOPS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, _stop)
    try:
        # -P: without it Python looks for modules in the current folder first, whatever files lie there.
        elastic_launch(_config(processes), sys.executable)("-P", "-m", "zoo", *arguments)
    except ChildFailedError as failed:
        rank, failure = failed.get_first_failure()
        if failure.exitcode < 0:
            how = signal.Signals(-failure.exitcode).name
            raise ZooError(f"process {rank} of {processes} was killed ({how}): the run stopped") from None
        return int(failure.exitcode)
    except SignalException as stopped:
        return 128 + stopped.sigval.value
    return 0


def _settle(processes: int) -> None:
    """Set the environment that the processes inherit."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // processes)))
    os.environ[LAUNCHER] = str(os.getpid())
    # DDP remarks on a setting that we mean; and what the launcher would log of a failure, the process that failed has
    # said better.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    logging.disable(logging.ERROR)


def _config(processes: int) -> LaunchConfig:
    wanted: dict[str, Any] = {
        "min_nodes": 1,
        "max_nodes": 1,
        "nproc_per_node": processes,
        "run_id": uuid.uuid4().hex,
        "rdzv_backend": "c10d",
        "rdzv_endpoint": "localhost:0",
        "max_restarts": 0,
        # Torch learnt these two later than what we ask of it.
        "shutdown_timeout": SECONDS_TO_SAVE,
        "signals_to_handle": "SIGQUIT",
    }
    known = {field.name for field in fields(LaunchConfig)}
    return LaunchConfig(**{name: value for name, value in wanted.items() if name in known})


def _stop(number: int, frame: FrameType | None) -> None:
    for each in STOPS:
        signal.signal(each, signal.SIG_DFL)
    raise SignalException(f"signal {number}", sigval=signal.Signals(number))
