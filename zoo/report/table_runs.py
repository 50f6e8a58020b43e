"""Training and comparison of the models of a table; finished runs are not repeated."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeVar

from ..assembly.build import check
from ..document.differences import differences
from ..errors import Diverged, Interrupted, Problem, SpecError, UsageError, ZooError
from ..progress import Progress
from ..run import directory as run
from ..run import record
from ..spec import Spec
from ..training import api as training
from ..training.provenance import shown
from . import table_scores
from .table_spec import SECONDS_PER_DRAW, Table, safe

T = TypeVar("T")


@dataclass(frozen=True)
class Figure:
    """A figure over the seeds: how many of them, their mean and standard deviation, exact or a bound."""

    mean: float | None
    std: float | None
    n: int
    kind: str


@dataclass(frozen=True)
class TabledRow:
    """One model: over the seeds that came to their end.

    ``diverged`` are those whose loss became NaN or infinite, ``failed`` those that something else ended, and what.
    """

    name: str
    spec: str
    seeds: int
    diverged: Sequence[int]
    parameters: int | None
    seconds: float | None
    metrics: Mapping[str, Figure]
    reported: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    failed: Mapping[int, str] = field(default_factory=dict)
    seconds_per_step: float | None = None
    """CPU seconds of a training step, the mean over the seeds; None where a device computed it."""
    seconds_per_draw: float | None = None
    """CPU seconds of a draw in a batch, the mean over the seeds; None unless the table asks for it."""
    data: Mapping[str, Any] | None = None
    """What the figures were measured on."""


@dataclass(frozen=True)
class Job:
    """One model on one seed, and the directory of its run."""

    row: int
    seed: int
    spec: Spec
    directory: Path

    @property
    def done(self) -> bool:
        return table_scores.finished(self.directory) or table_scores.diverged(self.directory)


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
    """Train the models of a table, resume what has begun, and compare figures, a row for each model.

    Every spec is checked before anything is trained. SpecError with all problems of all rows where some do not fit,
    UsageError where runs of the table's are of another spec than it asks for now. What fails later is in its row.
    """
    jobs = list(_collected(_jobs(table, seeds or table.declared.seeds, overrides, runs, small, progress)))
    _refuse_others(jobs)
    list(_collected(partial(_check, job.spec) for job in {job.row: job for job in jobs if not job.done}.values()))
    failed: dict[Path, str] = {}
    for index, job in enumerate(jobs, 1):
        with _kept_in(failed, job, progress):
            _train(table, job, f"{index}/{len(jobs)}", progress)
    by_row = [[job for job in jobs if job.row == index] for index in range(len(table.names()))]
    return [_row(table, row, device, failed, progress) for row in by_row]


def _jobs(
    table: Table, seeds: int, overrides: Sequence[str], runs: Path, small: bool, progress: Progress
) -> Iterator[Callable[[], Job]]:
    lead = f"{table.declared.name}-small" if small else table.declared.name

    def job(row: int, name: str, seed: int) -> Job:
        spec = table.spec(row, seed, overrides, small=small, say=_nothing if seed else progress.note)
        return Job(row, seed, spec, runs / spec.name / f"{lead}-{safe(name)}-seed{seed}")

    return (partial(job, row, name, seed) for row, name in enumerate(table.names()) for seed in range(seeds))


def _collected(calls: Iterable[Callable[[], T]]) -> Iterator[T]:
    """The results of the calls; one SpecError with the problems of all."""
    problems: list[Problem] = []
    for call in calls:
        try:
            yield call()
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)


def _check(spec: Spec) -> None:
    """SpecError if parts do not fit; other errors, such as missing data, are reported in their row."""
    try:
        check(spec)
    except SpecError:
        raise
    except ZooError:
        return


@contextmanager
def _kept_in(failed: dict[Path, str], job: Job, progress: Progress) -> Iterator[None]:
    """An error that a user can cause becomes a part of the row; the others go on. A signal ends them all."""
    try:
        yield
    except Interrupted:
        raise
    except ZooError as error:
        failed[job.directory] = str(error)
        progress.note(f"{job.directory} failed: {error}")


def _refuse_others(jobs: Sequence[Job]) -> None:
    """UsageError if a run of the same name has another spec, apart from how and on what it is scored."""
    found = []
    for job in jobs:
        if record.is_run(job.directory) and (lines := list(_otherwise(job))):
            found.append(f"{job.directory} was trained with other settings than the table declares:\n{shown(lines)}")
    if found:
        text = "Undo the change, rename the table or its row, or remove that run"
        raise UsageError("\n".join([*found, text]))


def _otherwise(job: Job) -> Iterator[str]:
    there, asked = run.spec_of(job.directory).resolved(), job.spec.resolved()
    for key in ("data", "model", "train", "init_from"):
        for difference in differences(there[key], asked[key], key):
            was, now = difference.both()
            yield f"{difference.path}: {shorten(str(was), 60)} in the run, {shorten(str(now), 60)} in the table"


def _train(table: Table, job: Job, count: str, progress: Progress) -> None:
    """Train a model from its current state."""
    if job.done:
        how = "diverged" if table_scores.diverged(job.directory) else "is done"
        progress.note(f"{count}: {job.directory} {how}")
        return
    progress.note(f"{count}: {job.directory}")
    try:
        if record.is_run(job.directory):
            training.resume(job.directory, progress=progress)
        else:
            runs = job.directory.parent.parent
            training.train(job.spec, runs=runs, name=job.directory.name, progress=progress)
    except Diverged as error:
        table_scores.keep_diverged(job.directory, error)
        progress.note(f"{count}: {error}")


def _row(table: Table, jobs: Sequence[Job], device: str, failed: dict[Path, str], progress: Progress) -> TabledRow:
    lost = [job for job in jobs if table_scores.diverged(job.directory)]
    found = []
    for job in (job for job in jobs if job not in lost and job.directory not in failed):
        with _kept_in(failed, job, progress):
            scored = table_scores.score(job.directory, job.spec, device)
            found.append(table_scores.timed(job.directory, scored) if SECONDS_PER_DRAW in table.shown() else scored)
    ended = [job.directory for job in jobs if job not in lost]
    names = dict.fromkeys(name for each in found for name in each.figures)
    row = table.declared.rows[jobs[0].row]
    return TabledRow(
        name=table.names()[jobs[0].row],
        spec=jobs[0].spec.name,
        seeds=len(found),
        diverged=[job.seed for job in lost],
        parameters=found[0].parameters if found else None,
        seconds=_mean(record.trained_seconds(directory) for directory in ended),
        metrics={name: _figure([each.figures[name] for each in found if name in each.figures]) for name in names},
        reported=row.reported,
        source=row.source,
        failed={job.seed: failed[job.directory] for job in jobs if job.directory in failed},
        seconds_per_step=_mean(run.pace_of(directory).seconds_per_step for directory in ended),
        seconds_per_draw=_mean(scored.seconds_per_draw for scored in found),
        data=jobs[0].spec.data.resolved(),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    """The mean of those that are known."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _figure(figures: Sequence[Mapping[str, Any]]) -> Figure:
    """Over the values that are finite."""
    values = [figure["value"] for figure in figures if figure["value"] is not None]
    mean = values[0] if len(values) == 1 else statistics.fmean(values) if values else None
    std = statistics.stdev(values) if len(values) > 1 else None
    return Figure(mean, std, len(values), figures[0]["kind"])


def _nothing(message: str) -> None:
    return
