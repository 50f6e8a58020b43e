"""Train a spec, or go on with a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import checkpoint, run
from .assembly import check
from .choosing import choose
from .engine import find_device
from .errors import UsageError
from .progress import Progress, Silent
from .run import Run
from .spec import Spec, find_spec, load_spec
from .spec.yaml import write_yaml
from .trainer import Trainer


def train(
    spec: Spec | str | os.PathLike[str] | Mapping[str, Any],
    *,
    text: str | None = None,
    steps: int | None = None,
    runs: str | Path = "runs",
    name: str | None = None,
    progress: Progress | None = None,
) -> Run:
    """Train a spec in a new run directory; ``steps`` stops there, while schedules keep their horizon.

    ``text`` is the spec as its author wrote it, kept beside the resolved one.

    >>> zoo.train("realnvp-2d", steps=100).metrics  # doctest: +SKIP
    {'loss': 1.31, 'nll': 1.31}
    """
    if not isinstance(spec, Spec):
        text = text or (None if isinstance(spec, Mapping) else find_spec(spec).read_text(encoding="utf-8"))
        spec = load_spec(spec)
    text = text or write_yaml(spec.resolved())
    check(spec)
    directory = run.new_directory(spec, Path(runs), name)
    trainer = Trainer(spec, directory, choose(spec), progress or Silent())
    run.create(directory, spec, text)
    return trainer.run(steps)


def resume(directory: str | Path, *, steps: int | None = None, progress: Progress | None = None) -> Run:
    """Go on with a run from its newest checkpoint that verifies, on what it was computed on before."""
    directory = Path(directory)
    spec = run.spec_of(directory)
    choices = run.choices_of(directory) or choose(spec)
    find_device(choices.device)
    trainer = Trainer(spec, directory, choices, progress or Silent())
    if checkpoint.steps(directory / run.CHECKPOINTS):
        step, state, skipped = checkpoint.load_newest(directory / run.CHECKPOINTS)
        for reason in skipped:
            trainer.progress.note(f"skipped a checkpoint: {reason}")
        trainer.restore(state)
        if steps is not None and steps <= step:
            raise UsageError(f"{directory} is at step {step} already; --steps counts from the start of the run")
    return trainer.run(steps)
