"""Train and compare the models of a table; what is done is not done again."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

from . import run, scored, training
from .assembly import check
from .errors import Diverged, UsageError
from .progress import Progress
from .provenance import differences, shown
from .spec import Spec
from .tables import Table, safe


@dataclass(frozen=True)
class Figure:
    """A figure over the seeds: how many of them, their mean and standard deviation, exact or a bound."""

    mean: float | None
    std: float | None
    n: int
    kind: str


@dataclass(frozen=True)
class TabledRow:
    """One model: over the seeds that came to their end; ``diverged`` are those that did not."""

    name: str
    spec: str
    seeds: int
    diverged: Sequence[int]
    parameters: int | None
    seconds: float | None
    metrics: Mapping[str, Figure]
    reported: Mapping[str, float] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True)
class Job:
    """One model on one seed, and the directory of its run."""

    row: int
    seed: int
    spec: Spec
    directory: Path

    @property
    def done(self) -> bool:
        return scored.finished(self.directory) or scored.diverged(self.directory)


def tabulate(
    table: Table,
    *,
    seeds: int | None = None,
    overrides: Sequence[str] = (),
    runs: Path = Path("runs"),
    device: str = "auto",
    small: bool = False,
    progress: Progress,
) -> list[TabledRow]:
    """Train what is not trained yet, go on with what has begun, and put figures side by side, a row a model.

    Every spec is checked before anything is trained. SpecError where one does not fit, UsageError where a run of the
    table's is of another spec than it asks for now.
    """
    jobs = list(_jobs(table, seeds or table.declared.seeds, overrides, runs, small, progress))
    for job in jobs:
        _refuse_another(job)
    for job in {job.row: job for job in jobs if not job.done}.values():
        check(job.spec)
    for index, job in enumerate(jobs, 1):
        _train(table, job, f"{index}/{len(jobs)}", progress)
    return [_row(table, index, [job for job in jobs if job.row == index], device) for index in range(jobs[-1].row + 1)]


def _jobs(
    table: Table, seeds: int, overrides: Sequence[str], runs: Path, small: bool, progress: Progress
) -> Iterator[Job]:
    lead = f"{table.declared.name}-small" if small else table.declared.name
    for row, name in enumerate(table.names()):
        say = progress.note
        for seed in range(seeds):
            spec = table.spec(row, seed, overrides, small=small, say=say)
            say = _nothing  # once for each row
            yield Job(row, seed, spec, runs / spec.name / f"{lead}-{safe(name)}-seed{seed}")


def _refuse_another(job: Job) -> None:
    """A run of the same name must be of the spec that the table asks for: but for how it is scored, and on what."""
    if not run.is_run(job.directory):
        return
    there, asked = run.spec_of(job.directory).resolved(), job.spec.resolved()
    found = [
        f"{path}: {shorten(str(was), 60)} there, {shorten(str(now), 60)} asked"
        for key in ("data", "model", "train", "init_from")
        for path, was, now in differences(there[key], asked[key], key)
    ]
    if found:
        raise UsageError(
            f"{job.directory} was trained otherwise than the table asks:\n{shown(found)}\nUndo the change, give the "
            "table or its row another name, or remove that run"
        )


def _train(table: Table, job: Job, count: str, progress: Progress) -> None:
    """Train a model from where it is."""
    if job.done:
        how = "diverged" if scored.diverged(job.directory) else "is done"
        progress.note(f"{count}: {job.directory} {how}")
        return
    progress.note(f"{count}: {job.directory}")
    try:
        if run.is_run(job.directory):
            training.resume(job.directory, progress=progress)
        else:
            text = table.file(job.row).read_text(encoding="utf-8")
            runs = job.directory.parent.parent
            training.train(job.spec, text=text, runs=runs, name=job.directory.name, progress=progress)
    except Diverged as error:
        scored.keep_diverged(job.directory, error)
        progress.note(f"{count}: {error}")


def _row(table: Table, index: int, jobs: Sequence[Job], device: str) -> TabledRow:
    lost = [job for job in jobs if scored.diverged(job.directory)]
    kept = [job for job in jobs if job not in lost]
    found = [scored.score(job.directory, job.spec, device) for job in kept]
    took = [seconds for job in kept if (seconds := scored.seconds(job.directory)) is not None]
    names = dict.fromkeys(name for each in found for name in each.figures)
    row = table.declared.rows[index]
    return TabledRow(
        name=table.names()[index],
        spec=jobs[0].spec.name,
        seeds=len(kept),
        diverged=[job.seed for job in lost],
        parameters=found[0].parameters if found else None,
        seconds=statistics.fmean(took) if took else None,
        metrics={name: _figure([each.figures[name] for each in found if name in each.figures]) for name in names},
        reported=row.reported,
        source=row.source,
    )


def _figure(figures: Sequence[Mapping[str, Any]]) -> Figure:
    """Over the values that are finite."""
    values = [figure["value"] for figure in figures if figure["value"] is not None]
    mean = statistics.fmean(values) if values else None
    std = statistics.stdev(values) if len(values) > 1 else None
    return Figure(mean, std, len(values), figures[0]["kind"])


def _nothing(message: str) -> None:
    return
