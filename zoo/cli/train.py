"""Commands that check and train: build, train, table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SpecError, UsageError
from . import completion
from .app import (
    Device,
    Json,
    Seed,
    Set,
    SpecArgument,
    Trust,
    command,
    print_json,
    refuse_python_files,
)

if TYPE_CHECKING:
    from ..spec import Spec
    from ..testing.capabilities import Verdict


@command("build")
def build(
    spec: SpecArgument,
    sets: Set = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the untrained model to this file.")
    ] = None,
    small: Annotated[bool, typer.Option("--small", help="Use the spec's small version, which takes seconds.")] = False,
    laws: Annotated[
        bool,
        typer.Option("--laws", help="Check the model against the laws of its capabilities, in float64 on little data."),
    ] = False,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Check a spec, put its parts together, compare their shapes and count; no data is touched."""
    from ..assembly import build as assembly
    from ..registry.outputs import output as to_write
    from ..report.text_table import columns, table_of_parts
    from ..share.file import ENDING, export
    from ..spec import load_spec

    where = None if output is None else to_write(output, [ENDING])
    refuse_python_files(spec, trust)
    loaded = load_spec(spec, sets or [], small=small, trust=trust)
    summary = assembly.check(loaded)
    verdicts = _verdicts(loaded, spec, sets or [], trust) if laws else []
    if where is not None:
        export(where, loaded, assembly.build(loaded).eval(), step=0, data=None)
    if as_json:
        parts = [vars(part) for part in summary.parts]
        print_json(
            {
                "name": summary.name,
                "parameters": summary.parameters,
                "trained_parameters": summary.trained,
                "frozen_parameters": summary.frozen,
                "players": [vars(player) for player in summary.players],
                "parts": parts,
                "weights_bytes": summary.weights_bytes,
                "training_bytes": summary.training_bytes,
                "output": str(output) if output else None,
            }
            | ({"laws": {verdict.law: verdict.message for verdict in verdicts}} if laws else {})
        )
    else:
        print(table_of_parts(summary))
        if verdicts:
            print("\n" + columns([[verdict.law, verdict.word] for verdict in verdicts], ["law", "verdict"]))
        elif laws:
            print("\nno capability of the model has laws")
    problems = [verdict.problem for verdict in verdicts if verdict.problem is not None]
    if problems:
        raise SpecError(problems)


@command("train")
def train(
    spec: Annotated[
        str | None,
        typer.Argument(metavar="SPEC", help="A path, or the name of a shipped spec.", autocompletion=completion.specs),
    ] = None,
    sets: Set = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Stop at this step; schedules keep their horizon.")] = None,
    seed: Seed = None,
    device: Device = None,
    runs: Annotated[Path, typer.Option(help="The folder in which run directories are created.")] = Path("runs"),
    name: Annotated[str | None, typer.Option(help="The name of the run directory.")] = None,
    small: Annotated[bool, typer.Option("--small", help="Use the spec's small version, which takes seconds.")] = False,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Resume this run.", autocompletion=completion.runs)
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Train in this many processes on this machine, each with its own batch."),
    ] = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Train a spec in a new run directory, or resume a run."""
    if (spec is None) == (resume is None):
        raise UsageError("expected either a spec to train or a run to --resume")
    given = {"--set": sets or None, "--seed": seed, "--device": device, "--name": name, "--small": small or None}
    for option, value in given.items():
        if resume is not None and value is not None:
            raise UsageError(f"{option} cannot be combined with --resume: a run is resumed with its own resolved spec")

    from ..assembly import build as assembly
    from ..engine import launcher
    from ..engine.distributed import writes
    from ..spec import load_spec
    from ..training import api as training
    from .terminal import duration, listener, say

    overrides = [*(sets or [])]
    overrides += [f"train.seed={seed}"] if seed is not None else []
    overrides += [f"engine.device={device}"] if device is not None else []
    loaded = None if spec is None else load_spec(spec, overrides, small=small, trust=trust)
    count = launcher.to_start(processes, 1 if resume is None else training.processes_of(resume))
    if count > 1:
        if loaded is not None:
            assembly.check(loaded)
        raise typer.Exit(launcher.launch(count, sys.argv[1:]))
    if loaded is None:
        result = training.resume(str(resume), steps=steps, progress=listener(), trust=trust)
    else:
        result = training.train(loaded, steps=steps, runs=runs, name=name, progress=listener())
    if not writes():
        return
    figures = "  ".join(f"{key} {value:.4f}" for key, value in result.metrics.items() if "." not in key)
    say(f"{result.split}: {figures}  ({result.steps} steps, {duration(result.seconds)})")
    if as_json:
        print_json(
            {
                "run": str(result.directory),
                "steps": result.steps,
                "seconds": result.seconds,
                "metrics": dict(result.metrics),
                "split": result.split,
                "model": str(result.model),
            }
        )
    else:
        print(result.directory)


@command("table")
def table(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A table: a path, or the name of a shipped one.", autocompletion=completion.tables
        ),
    ],
    seeds: Annotated[int | None, typer.Option(min=1, help="Number of seeds, from 0; by default the table's.")] = None,
    sets: Set = None,
    runs: Annotated[Path, typer.Option(help="The folder in which run directories are created.")] = Path("runs"),
    device: Device = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The file to write: .csv, .md, .tex, or .png, the plot that it declares."),
    ] = None,
    small: Annotated[bool, typer.Option("--small", help="Use the specs' small versions, which take seconds.")] = False,
    as_json: Json = False,
) -> None:
    """Train and compare the models of a table; finished runs are not repeated."""
    from dataclasses import asdict

    from ..errors import Diverged, ZooError
    from ..registry.outputs import ending
    from ..registry.outputs import output as to_write
    from ..report.table_format import FORMS, form, plain
    from ..report.table_picture import ENDING, plot_of, write_picture
    from ..report.table_runs import tabulate
    from ..report.table_spec import read_table
    from ..storage.atomic import write_whole
    from .terminal import listener

    where = None if output is None else to_write(output, [*FORMS, ENDING])
    read = read_table(file)
    plot = plot_of(read) if where is not None and ending(where) == ENDING else None
    overrides = [*(sets or []), *([f"engine.device={device}"] if device is not None else [])]
    how: dict[str, Any] = {"seeds": seeds, "overrides": overrides, "runs": runs, "device": device or "auto"}
    rows = tabulate(read, **how, small=small, progress=listener())
    if where is not None and plot is not None:
        write_picture(rows, plot, where)
    elif where is not None:
        text = form(where)(rows, read.declared.note, read.declared.columns)
        write_whole(where, lambda aside: aside.write_text(text, encoding="utf-8"))
    if as_json:
        print_json({"name": read.declared.name, "rows": [asdict(row) for row in rows]})
    else:
        print(plain(rows, read.declared.note, read.declared.columns))
    if any(row.failed for row in rows):
        raise typer.Exit(ZooError.exit_code)
    if any(row.diverged for row in rows):
        raise typer.Exit(Diverged.exit_code)


def _verdicts(spec: Spec, name: str, overrides: list[str], trust: bool) -> list[Verdict]:
    """The results of the laws for a spec, on its small version if it has one."""
    from ..spec import load_spec
    from ..testing.capabilities import judge

    small: dict[str, Any] = {"small": True, "trust": trust, "say": lambda message: None}
    return judge(load_spec(name, overrides, **small) if spec.small else spec)
