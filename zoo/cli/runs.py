"""Commands about runs: runs, runs rm."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError, nearest
from .app import Json, RunArguments, command, print_json, runs, shown_alone

if TYPE_CHECKING:
    from ..run.overview import RunLine

HEADS = ["run", "status", "step", "of", "figure", "age", "trained", "size"]


@shown_alone(runs)
def list_runs(
    folder: Annotated[Path, typer.Option("--runs", help="The folder of the runs.")] = Path("runs"),
    sort: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="Sort by run, status, step, figure, age, trained or size; descending with a minus: -size.",
        ),
    ] = "age",
    as_json: Json = False,
) -> None:
    """List the runs: how far each is, its first figure on held-out data, its age and size."""
    from ..report.text_table import columns
    from ..run import overview

    found = _sorted(overview.runs(folder), sort)
    if as_json:
        print_json({"runs": [asdict(line) | {"time": line.time and line.time.isoformat()} for line in found]})
    elif found:
        print(columns([_row(line) for line in found], HEADS))
    else:
        print(f"no runs in {folder}; train one by: zoo train SPEC")


@command("rm", runs)
def rm(targets: RunArguments, as_json: Json = False) -> None:
    """Delete runs with all their files; one that is being trained is not touched."""
    from ..report.text_table import size
    from ..run.overview import delete

    freed = delete([Path(target) for target in targets])
    if as_json:
        print_json({"deleted": targets, "bytes": freed})
    else:
        print(f"deleted {', '.join(targets)}: {size(freed)}")


def _sorted(lines: list[RunLine], by: str) -> list[RunLine]:
    """Lines by a column of the table; those without a value come last."""
    keys = {
        "run": lambda line: line.run,
        "status": lambda line: line.status,
        "step": lambda line: line.step,
        "figure": lambda line: line.figure and line.figure["value"],
        "age": lambda line: line.time and -line.time.timestamp(),
        "trained": lambda line: line.seconds,
        "size": lambda line: line.size,
    }
    key = keys.get(by.removeprefix("-"))
    if key is None:
        raise UsageError(f"unknown column '{by}', known: {', '.join(keys)}{nearest(by.removeprefix('-'), keys)}")
    known = [line for line in lines if key(line) is not None]
    return sorted(known, key=key, reverse=by.startswith("-")) + [line for line in lines if key(line) is None]


def _row(line: RunLine) -> list[str]:
    from ..catalogue.figures import figure
    from ..report.text_table import size
    from .terminal import duration

    steps = "" if line.steps is None else f"{line.steps:,}"
    measured = "" if line.figure is None else figure(line.figure)
    trained = "" if line.seconds is None else duration(line.seconds)
    return [line.run, line.status, f"{line.step:,}", steps, measured, _age(line.time), trained, size(line.size)]


def _age(time: datetime | None) -> str:
    """The age of a run in the largest unit that it has one of."""
    if time is None:
        return ""
    seconds = max((datetime.now(UTC) - time).total_seconds(), 0.0)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"
