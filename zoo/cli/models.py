"""Commands that ask a trained model: evaluate, sample, encode, compare, diff."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from . import completion
from .app import (
    DataOfFile,
    Device,
    Json,
    Set,
    Target,
    Trust,
    command,
    print_json,
)

if TYPE_CHECKING:
    from ..interfaces import Measurement
    from ..report.figures import Check


@command("evaluate")
def evaluate(
    target: Target,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="M",
            help="Evaluate this metric instead of the spec's.",
            autocompletion=completion.metrics,
        ),
    ] = None,
    sets: Set = None,
    device: Device = None,
    data_of_file: DataOfFile = False,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Score a model on the held-out split."""
    from ..inference.evaluate import evaluate_file
    from ..report.text_table import columns
    from .terminal import say

    how = {"trust": trust, "data_of_file": data_of_file}
    measured, spec = evaluate_file(target, metric or [], sets or [], device or "auto", **how)
    data = spec.data.resolved()
    fitted = {name: m.fitted_on for name, m in measured.items() if m.fitted_on is not None}
    if as_json:
        values = {name: m.value for name, m in measured.items()}
        n = max((m.n for m in measured.values()), default=0)
        kinds = {name: m.kind for name, m in measured.items()}
        rows = {name: m.not_finite for name, m in measured.items() if m.not_finite}
        counted: dict[str, Any] = {"rows_not_finite": rows} if rows else {}
        counted |= {"fitted_on": fitted} if fitted else {}
        errors = {name: m.standard_error for name, m in measured.items() if m.standard_error is not None}
        counted |= {"standard_errors": errors} if errors else {}
        print_json({"metrics": values, "split": "test", "n": n, "kinds": kinds, "data": data, **counted})
    else:
        say(f"on the test split of {json.dumps(data)}")
        for name, n in fitted.items():
            say(f"{name}: fitted on {n:,} training examples")
        heads = ["metric", "value", "standard error", "n", "kind"]
        print(columns([_measurement_row(name, m) for name, m in measured.items()], heads))


@command("figures")
def figures(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN_OR_FILE]...",
            help="Share files, runs, or names of specs with weights; by default all weights that are installed.",
            autocompletion=completion.targets,
        ),
    ] = None,
    device: Device = None,
    data_of_file: DataOfFile = False,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Measure recorded figures again; fail where one is not met within its standard error."""
    from dataclasses import asdict

    from ..distribution import install_hint
    from ..registry.shipped import shipped_weights
    from ..report.figures import check
    from ..report.text_table import columns

    names = targets or sorted(shipped_weights())
    if not names:
        raise UsageError(f"no trained weights are installed; get them by: {install_hint('weights')}")
    how = {"data_of_file": data_of_file, "trust": trust}
    checks = [one for name in names for one in check(name, device or "auto", **how)]
    if as_json:
        rows = [asdict(one) | {"met": one.met} for one in checks]
        print_json({"figures": rows, "met": all(one.met for one in checks)})
    else:
        heads = ["model", "metric", "recorded", "standard error", "measured", ""]
        print(columns([_check_row(one) for one in checks], heads))
    if not all(one.met for one in checks):
        raise typer.Exit(1)


def _check_row(one: Check) -> list[str]:
    values = ("" if value is None else f"{value:.5g}" for value in (one.recorded, one.standard_error, one.measured))
    return [one.name, one.metric, *values, "ok" if one.met else one.problem or "NOT MET"]


@command("sample")
def sample(
    target: Target,
    n: Annotated[
        int | None, typer.Option("-n", min=1, help="Number of draws; by default the spec's, or the view's.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The file to write: .png, .gif, .mp4, .txt, .jsonl, .npy, .npz, .pt or .csv."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws; equal seeds give equal draws.")] = 0,
    temperature: Annotated[float | None, typer.Option(help="Above 0; values below 1 draw nearer to the mode.")] = None,
    view: Annotated[
        str | None,
        typer.Option(
            metavar="V", help="Write a picture of this kind instead of draws.", autocompletion=completion.views
        ),
    ] = None,
    density: Annotated[
        bool,
        typer.Option("--density", help="Draw the learned density instead, next to a run's data (1 or 2 numbers)."),
    ] = False,
    given: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE|FILE",
            help="The condition of the draws: label=3, image=cat.png. One example for all, or one for each.",
        ),
    ] = None,
    label: Annotated[int | None, typer.Option(min=0, help="Short for --given label=N.")] = None,
    mean: Annotated[
        bool, typer.Option("--mean", help="Write the mean of each draw, without the noise of the likelihood.")
    ] = False,
    features: Annotated[
        Path | None,
        typer.Option(help="Short for --given features=FILE: a .npy or .csv file of one row, or one row for each draw."),
    ] = None,
    sets: Set = None,
    device: Device = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Draw from a model."""
    if density and view is not None:
        raise UsageError("--density and --view cannot be combined")
    short = {"label": label, "features": features}
    said = [*(given or []), *(f"{name}={value}" for name, value in short.items() if value is not None)]
    if (density or view is not None) and (said or mean):
        raise UsageError("--given, --label, --features and --mean apply to draws, not to pictures")

    from ..inference.conditions import parse_given
    from ..inference.sample import Means, sample_file
    from ..inference.views import density_file, view_file
    from ..inference.writers import FORMS
    from ..registry.outputs import output as to_write

    how: dict[str, Any] = {"n": n, "seed": seed, "temperature": temperature, "overrides": sets or []}
    how |= {"device": device or "auto", "trust": trust}
    if density or view is not None:
        picture = to_write(output or Path("samples.png"), [".png"])
        drawn = density_file(target, picture, **how) if view is None else view_file(target, picture, view, **how)
    else:
        where, way = output and to_write(output, FORMS), Means if mean else None
        drawn = sample_file(target, where, given=parse_given(said), way=way, **how)
    written = str(output or drawn.output)
    if as_json:
        print_json({"output": written, "n": drawn.n, "seconds": drawn.seconds})
    else:
        print(written)


@command("encode")
def encode(
    target: Target,
    output: Annotated[Path, typer.Option("-o", "--output", help="A .npy, .pt or .csv file.")] = Path("codes.npy"),
    split: Annotated[str, typer.Option(help="The split to encode: test or train.")] = "test",
    sets: Set = None,
    device: Device = None,
    data_of_file: DataOfFile = False,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Write the codes of data, in the order of its examples."""
    from ..inference.encode import encode_file
    from ..inference.writers import ARRAYS
    from ..registry.outputs import output as to_write

    how: dict[str, Any] = {"overrides": sets or [], "device": device or "auto"}
    encoded = encode_file(target, to_write(output, ARRAYS), split=split, **how, trust=trust, data_of_file=data_of_file)
    if as_json:
        print_json({"output": str(output), "n": encoded.n, "shape": encoded.shape})
    else:
        print(output)


@command("compare")
def compare(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN_OR_FILE...",
            help="Runs, @last, share files, or hf://OWNER/NAME[@REVISION].",
            autocompletion=completion.targets,
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", metavar="M", help="Show only this figure; may be repeated.", autocompletion=completion.metrics
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Sort by this column, such as 'training s'; descending with a minus: -accuracy."
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The file to write: .csv, .md or .tex.")] = None,
    as_json: Json = False,
) -> None:
    """Compare models, one row each: a table for each data that they were measured on."""
    from dataclasses import asdict

    from ..registry.outputs import ending
    from ..registry.outputs import output as to_write
    from ..report.compare import compare as row_of
    from ..report.compare import separated, sheets
    from ..report.table_format import in_latex, in_markdown, on_terminal
    from ..storage.atomic import write_whole
    from .terminal import columns_of

    forms = {".csv": None, ".md": in_markdown, ".tex": in_latex}
    where = None if output is None else to_write(output, forms)
    rows = [row_of(target) for target in targets]
    for row in rows:
        if row.not_executed:
            reason = "a Python file of the run, which is not executed: figures that need the model are left out"
            print(f"warning: {row.source} needs {row.not_executed}, {reason}", file=sys.stderr)
    made = sheets(rows, metric or [], sort)
    if where is not None:
        form = forms[ending(where)]
        text = separated(rows) if form is None else "\n".join(form(one) for one in made)
        write_whole(where, lambda aside: aside.write_text(text, encoding="utf-8"))
    if as_json:
        print_json({"rows": [asdict(row) for row in rows]})
    else:
        print("\n\n".join(on_terminal(one, columns_of(sys.stdout)) for one in made))


@command("diff")
def diff(
    left: Annotated[
        str, typer.Argument(metavar="A", help="A spec, a run or a share file.", autocompletion=completion.declarations)
    ],
    right: Annotated[str, typer.Argument(metavar="B", help="Another.", autocompletion=completion.declarations)],
    as_json: Json = False,
) -> None:
    """Show the differences of two declarations, with all defaults; exit code 1 if they differ."""
    from ..document.differences import differences
    from ..report.diff import declared

    found = list(differences(declared(left), declared(right)))
    if as_json:
        print_json({"differences": [difference.to_dict() for difference in found]})
    elif found:
        print("\n\n".join([f"- {left}\n+ {right}", *(difference.shown() for difference in found)]))
    else:
        print("no differences")
    if found:
        raise typer.Exit(1)


def _measurement_row(name: str, measured: Measurement) -> list[str]:
    rows = f" ({measured.not_finite} of {measured.n} rows are not finite)" if measured.not_finite else ""
    error = "" if measured.standard_error is None else f"{measured.standard_error:.4f}"
    return [name, f"{measured.value:.4f}{rows}", error, str(measured.n), measured.kind]
