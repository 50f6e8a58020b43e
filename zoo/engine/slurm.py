"""Requeueing of preempted SLURM jobs."""

from __future__ import annotations

import os
import signal
import subprocess

from ..errors import Interrupted
from ..progress import Progress
from ..spec import Spec

JOB, RESTARTS = "SLURM_JOB_ID", "SLURM_RESTART_COUNT"
SECONDS = 30


def name_of(spec: Spec) -> str | None:
    """The name of the run of a job that may come back: the same each time that it starts."""
    return f"slurm-{os.environ[JOB]}" if _wanted(spec) else None


def restarted(spec: Spec) -> bool:
    """Whether this job ran before, and should go on with its run."""
    return _wanted(spec) and os.environ.get(RESTARTS, "0") not in ("", "0")


def ask(spec: Spec, stop: Interrupted, progress: Progress) -> None:
    """Requeue a preempted job."""
    if not _wanted(spec) or stop.exit_code != 128 + signal.SIGTERM:
        return
    job = os.environ[JOB]
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True, timeout=SECONDS)
        progress.note(f"job {job} was requeued")
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or error
        progress.note(f"job {job} could not be requeued: {str(said).strip()}")


def _wanted(spec: Spec) -> bool:
    return spec.engine.requeue and bool(os.environ.get(JOB))
