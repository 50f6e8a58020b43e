"""Train a spec, or go on with a run; alone, or together with the other processes of a launcher."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..assembly.build import build, check
from ..data.batches import Splits
from ..document.yaml import write_yaml
from ..engine import slurm
from ..engine.distributed import Processes, joined
from ..engine.runtime import Choices
from ..errors import Interrupted, UsageError, ZooError
from ..progress import Guarded, Progress, Silent, listening
from ..run import checkpoint, record
from ..run import directory as run
from ..run.directory import Run
from ..spec import Spec, load_spec
from ..storage import lock
from .autotune import choose
from .initialization import Sources
from .preflight import preflight
from .provenance import require_same
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

    ``text`` is saved next to the resolved spec, in place of the text that the spec was read from.

    >>> zoo.train("realnvp-2d", steps=100).metrics  # doctest: +SKIP
    {'loss': 1.31, 'nll': 1.31}
    """
    spec = spec if isinstance(spec, Spec) else load_spec(spec)
    _refuse_beyond(spec, steps, f"train longer with --set train.steps={steps}")
    text, sources = text or spec.text or write_yaml(spec.resolved()), Sources(spec)
    made = _Declared(spec, text, Path(runs), name or slurm.name_of(spec), sources)
    with joined() as processes, ExitStack() as stack:
        progress = _listener(progress, processes)
        before = processes.once(made.begun_before)
        if before is not None:
            return _go_on(before, steps, progress, processes, stack, trust=False)
        splits = Splits(spec.data())
        directory, choices = processes.once(lambda: made.begin(splits, processes, progress))
        trainer = Trainer(spec, directory, choices, progress, processes, splits=splits, weights=sources)
        processes.once(lambda: made.create(directory, stack))
        return _run(trainer, steps)


def resume(
    directory: str | Path, *, steps: int | None = None, progress: Progress | None = None, trust: bool = False
) -> Run:
    """Resume a run from its newest checkpoint that verifies, with the same runtime choices.

    Python files that its spec names are executed where this user has trained with them here, or says to ``trust`` them.
    """
    with joined() as processes, ExitStack() as stack:
        return _go_on(Path(directory), steps, _listener(progress, processes), processes, stack, trust)


def processes_of(directory: str | Path) -> int:
    """The number of processes with which a run began; 1 if it never started."""
    choices = run.choices_of(Path(directory))
    return choices.processes if choices else 1


@dataclass(frozen=True)
class _Declared:
    """A run before its start: what the first process does for all."""

    spec: Spec
    text: str
    runs: Path
    name: str | None
    sources: Sources

    def begun_before(self) -> Path | None:
        """The run that an earlier start of this very job began."""
        directory = self.runs / self.spec.name / str(self.name)
        return directory if slurm.restarted(self.spec) and record.is_run(directory) else None

    def begin(self, splits: Splits, processes: Processes, progress: Progress) -> tuple[Path, Choices]:
        try:
            return self._looked_at(splits, processes, progress)
        except KeyboardInterrupt:
            progress.note("stopped before the first step; nothing was saved")
            raise

    def _looked_at(self, splits: Splits, processes: Processes, progress: Progress) -> tuple[Path, Choices]:
        check(self.spec)
        directory = run.new_directory(self.spec, self.runs, self.name)
        preflight(self.spec, splits, progress.note)
        if self.spec.init_from is not None:
            self.sources.fill(build(self.spec))
        return directory, choose(self.spec, processes.size, progress.note)

    def create(self, directory: Path, stack: ExitStack) -> None:
        run.create(directory, self.spec, self.text)
        stack.enter_context(lock.held(directory / record.RESOLVED))


def _go_on(
    directory: Path, steps: int | None, progress: Progress, processes: Processes, stack: ExitStack, trust: bool
) -> Run:
    spec = run.spec_of(directory, trust=trust)
    processes.once(lambda: stack.enter_context(lock.held(directory / record.RESOLVED)))
    choices = processes.once(lambda: run.choices_of(directory) or choose(spec, processes.size, progress.note))
    if choices.processes != processes.size:
        raise UsageError(
            f"{directory} was trained by {choices.processes} processes, on which its bits depend; resume with: "
            f"zoo train --resume {directory} --processes {choices.processes}"
        )
    _refuse_beyond(spec, steps, f"start a new run with --set train.steps={steps} init_from={directory / record.MODEL}")
    splits = Splits(spec.data())

    def look() -> int | None:
        step = _newest(directory, steps, progress)
        if step is not None:
            require_same(directory, step, spec, lambda: splits.fingerprint, progress.note)
        preflight(spec, splits, progress.note)
        return step

    found = processes.once(look)
    return _run(Trainer(spec, directory, choices, progress, processes, found, splits), steps)


def _refuse_beyond(spec: Spec, steps: int | None, remedy: str) -> None:
    """UsageError for steps beyond the end of the schedules, where the learning rate is zero."""
    if steps is not None and steps > spec.train.steps:
        raise UsageError(
            f"--steps {steps} is beyond the {spec.train.steps} of train.steps, where every schedule ends: {remedy}"
        )


def _listener(progress: Progress | None, processes: Processes) -> Progress:
    """The listener of the process that speaks for the run."""
    return Guarded(progress) if progress is not None and processes.first else Silent()


def _newest(directory: Path, until: int | None, progress: Progress) -> int | None:
    """The step to resume from; None if nothing was saved yet. Incomplete files of a killed process are removed."""
    run.sweep(directory)
    if not checkpoint.steps(directory / run.CHECKPOINTS):
        return None
    step, skipped = checkpoint.newest(directory / run.CHECKPOINTS)
    for reason in skipped:
        progress.note(f"skipped a checkpoint: {reason}")
    if until is not None and until <= step:
        raise UsageError(f"{directory} is already at step {step}; --steps counts from the start of the run")
    return step


def _run(trainer: Trainer, steps: int | None) -> Run:
    try:
        with listening(trainer.progress.advanced):
            return trainer.run(steps)
    except Interrupted as stop:
        if trainer.processes.first:
            slurm.ask(trainer.spec, stop, trainer.progress)
        raise
    except ZooError as error:
        error.and_then(trainer.standing())
        raise
    except Exception as error:
        error.add_note(trainer.standing())
        raise
