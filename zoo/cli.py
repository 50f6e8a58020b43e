"""The command line: parses, calls, prints. No logic, and no torch until a command needs it."""

from __future__ import annotations

import atexit
import functools
import gc
import inspect
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from . import __version__, completing, failing
from .errors import SpecError, UsageError
from .replies import reply
from .terminal import following

if TYPE_CHECKING:
    from .interfaces import Measurement
    from .lawful import Verdict
    from .listing import Resolved
    from .spec import Spec

# A process that ends need not look for cycles among all of torch's objects: that took over half a second.
atexit.register(gc.freeze)

app = typer.Typer(
    help="A zoo of deep generative models: declare one in YAML, train it, score it, sample it, share it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

SpecArgument = Annotated[
    str,
    typer.Argument(
        metavar="SPEC", help="A spec: its path, or the name of a shipped one.", autocompletion=completing.specs
    ),
]
Target = Annotated[  # a path would make hf:/ of hf://
    str,
    typer.Argument(
        metavar="RUN_OR_FILE",
        help="A run directory, a share file, or hf://OWNER/NAME[@REVISION].",
        autocompletion=completing.targets,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="K=V", help="Override a key: model.transforms.1.repeat=8")
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Execute the Python files that a run brings, whoever made it: read them first.")
]
DataOfFile = Annotated[
    bool,
    typer.Option("--data-of-file", help="Read the data that a file names, wherever it says."),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of every draw.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]


new = typer.Typer(help="Start a plugin or a spec of your own.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(new, name="new")
data = typer.Typer(help="Data sets that are offered publicly.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data, name="data")


def command(name: str, of: typer.Typer = app) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a command: whatever fails is one message and its exit code, never a traceback."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            failing.prepare_streams()
            try:
                with warnings.catch_warnings():
                    warnings.showwarning = _warn
                    with _answering(sys.stdout, kwargs.get("as_json", False)), following():
                        function(*args, **kwargs)
                sys.stdout.flush()
            except typer.Exit:
                raise
            except BaseException as error:
                raise typer.Exit(failing.told(error)) from None

        run.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
        return of.command(name)(run)

    return register


_answers: ContextVar[TextIO | None] = ContextVar("answers", default=None)


@contextmanager
def _answering(stream: TextIO, as_json: bool) -> Iterator[None]:
    """Within this block an object alone goes to standard output, whatever else is printed, by a plugin too."""
    token = _answers.set(stream)
    try:
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            yield
    finally:
        _answers.reset(token)


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as a user reads it: what is meant for programmers stays as Python shows it."""
    ours = category.__module__.partition(".")[0] == __package__
    text = f"warning: {message}\n" if ours else warnings.formatwarning(message, category, filename, lineno, line)
    print(text, end="", file=file or sys.stderr)


def _version(asked: bool) -> None:
    if asked:
        print(f"zoo {__version__}")
        raise typer.Exit


def _debug(asked: bool) -> None:
    """For this process and for those that it starts."""
    if asked:
        os.environ[failing.DEBUG] = "1"


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", callback=_debug, help="Show the traceback of what fails; so does ZOO_DEBUG=1.")
    ] = False,
) -> None:
    """A zoo of deep generative models: declare one in YAML, train it, score it, sample it, share it."""


@command("list")
def list_(
    kind: Annotated[
        str | None, typer.Argument(help="Only the components of this kind.", autocompletion=completing.kinds)
    ] = None,
    as_json: Json = False,
) -> None:
    """List specs, kinds and components, with one line each."""
    from . import listing
    from .errors import nearest

    shelves = listing.catalogue()
    found = listing.components(shelves, kind)
    if kind is not None and not found:
        raise UsageError(f"there is no kind '{kind}'{nearest(kind, listing.components(shelves))}")
    shipped = [] if kind else listing.specs(shelves)
    if as_json:
        specs = [{"name": s.name, "family": s.family, "description": s.description} for s in shipped]
        _print_json({"specs": specs, "components": found})
        return
    width = max([len(s.name) for s in shipped] + [len(name) for names in found.values() for name in names])
    families = dict.fromkeys(line.family for line in shipped)
    groups = {f"Specs: {f}": {s.name: s.description for s in shipped if s.family == f} for f in families}
    for title, entries in (groups | {f"Components: {of}": names for of, names in found.items()}).items():
        print(title)
        for name, line in entries.items():
            print(f"  {name.ljust(width)}  {line}".rstrip())
        print()


@command("show")
def show(
    name: Annotated[str, typer.Argument(help="A component or a spec.", autocompletion=completing.names)],
    sets: Set = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Show a component: formula, reference, parameters; or a spec, resolved."""
    from . import listing
    from .errors import nearest
    from .report import columns
    from .shipped import shipped_specs

    shelves, shipped = listing.catalogue(), shipped_specs()
    found = listing.pages(shelves, name)
    is_spec = name in shipped or name.endswith((".yaml", ".yml"))
    if not found and not is_spec:
        known = {entry.name for shelf in shelves for entry in shelf.entries} | shipped.keys()
        raise UsageError(f"there is no component and no spec '{name}'{nearest(name, known)}")
    pages: list[dict[str, Any]] = []
    for page in found:
        kind, plugin = page.entry.kind, page.shelf
        facts = {"kind": kind, "name": name, "distribution": plugin.distribution, "version": plugin.version}
        doc, rows, declared = page.entry.doc, page.entry.parameters, page.entry.example
        pages.append({**facts, "doc": doc, "parameters": [vars(row) for row in rows], "example": declared})
        if not as_json:
            print(f"{kind} '{name}' ({plugin.distribution} {plugin.version})\n\n{doc}\n\nIn a spec: {declared}\n")
            print(columns([[r.name, r.type, r.default] for r in rows], ["parameter", "type", "default"]), end="\n\n")
    resolved = _resolved(name, sets or [], trust) if is_spec else None
    if as_json:
        _print_json({"components": pages, "spec": resolved and resolved.node})
    elif resolved is not None:
        print(resolved.text, end="")


@command("build")
def build(
    spec: SpecArgument,
    sets: Set = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the untrained model here.")] = None,
    small: Annotated[bool, typer.Option("--small", help="The spec's own seconds-long version.")] = False,
    laws: Annotated[
        bool, typer.Option("--laws", help="Hold the model to the laws of what it can do: in float64, on little data.")
    ] = False,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Check a spec, put its parts together, compare their shapes and count; no data is touched."""
    from . import assembly
    from .exporting import ENDING, export
    from .outputs import output as to_write
    from .report import columns, table_of_parts
    from .spec import load_spec

    where = None if output is None else to_write(output, [ENDING])
    _refuse_python_files(spec, trust)
    loaded = load_spec(spec, sets or [], small=small, trust=trust)
    summary = assembly.check(loaded)
    verdicts = _verdicts(loaded, spec, sets or [], trust) if laws else []
    if where is not None:
        export(where, loaded, assembly.build(loaded).eval(), step=0, data=None)
    if as_json:
        parts = [vars(part) for part in summary.parts]
        _print_json(
            {
                "name": summary.name,
                "parameters": summary.parameters,
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
            print("\nnothing that the model can do has laws")
    problems = [verdict.problem for verdict in verdicts if verdict.problem is not None]
    if problems:
        raise SpecError(problems)


@command("train")
def train(
    spec: Annotated[
        str | None,
        typer.Argument(metavar="SPEC", help="A path, or the name of a shipped spec.", autocompletion=completing.specs),
    ] = None,
    sets: Set = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Stop there; schedules keep their horizon.")] = None,
    seed: Seed = None,
    device: Device = None,
    runs: Annotated[Path, typer.Option(help="Where run directories are made.")] = Path("runs"),
    name: Annotated[str | None, typer.Option(help="The run directory's name.")] = None,
    small: Annotated[bool, typer.Option("--small", help="The spec's own seconds-long version.")] = False,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with this run.", autocompletion=completing.runs)
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Train in as many processes on this machine, each with a batch of its own."),
    ] = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Train a spec in a new run directory, or go on with a run."""
    if (spec is None) == (resume is None):
        raise UsageError("name a spec to train, or a run to --resume: one of the two")
    given = {"--set": sets or None, "--seed": seed, "--device": device, "--name": name, "--small": small or None}
    for option, value in given.items():
        if resume is not None and value is not None:
            raise UsageError(f"{option} does not go with --resume: a run goes on with its own resolved spec")

    from . import assembly, launching, training
    from .processes import writes
    from .spec import find_spec, load_spec
    from .terminal import duration, listener, say

    overrides = [*(sets or [])]
    overrides += [f"train.seed={seed}"] if seed is not None else []
    overrides += [f"engine.device={device}"] if device is not None else []
    loaded = None if spec is None else load_spec(spec, overrides, small=small, trust=trust)
    count = launching.to_start(processes, 1 if resume is None else training.processes_of(resume))
    if count > 1:
        if loaded is not None:
            assembly.check(loaded)
        raise typer.Exit(launching.launch(count, sys.argv[1:]))
    if loaded is None:
        result = training.resume(str(resume), steps=steps, progress=listener(), trust=trust)
    else:
        text = find_spec(str(spec)).read_text(encoding="utf-8")
        result = training.train(loaded, text=text, steps=steps, runs=runs, name=name, progress=listener())
    if not writes():
        return
    figures = "  ".join(f"{key} {value:.4f}" for key, value in result.metrics.items() if "." not in key)
    say(f"{result.split}: {figures}  ({result.steps} steps, {duration(result.seconds)})")
    if as_json:
        _print_json(
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


@command("evaluate")
def evaluate(
    target: Target,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="M", help="Measure this instead.", autocompletion=completing.metrics),
    ] = None,
    sets: Set = None,
    device: Device = None,
    data_of_file: DataOfFile = False,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Score a model on the held-out split."""
    from .evaluation import evaluate_file
    from .report import columns
    from .terminal import say

    how = {"trust": trust, "data_of_file": data_of_file}
    measured, spec = evaluate_file(target, metric or [], sets or [], device or "auto", **how)
    data = spec.data.resolved()
    if as_json:
        values = {name: m.value for name, m in measured.items()}
        n = max((m.n for m in measured.values()), default=0)
        kinds = {name: m.kind for name, m in measured.items()}
        rows = {name: m.not_finite for name, m in measured.items() if m.not_finite}
        counted = {"rows_not_finite": rows} if rows else {}
        _print_json({"metrics": values, "split": "test", "n": n, "kinds": kinds, "data": data, **counted})
    else:
        say(f"on the test split of {json.dumps(data)}")
        print(columns([_measurement_row(k, m) for k, m in measured.items()], ["metric", "value", "n", "kind"]))


@command("sample")
def sample(
    target: Target,
    n: Annotated[int | None, typer.Option("-n", min=1, help="How many; the spec's own number by default.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="A .png, .npy, .pt or .csv file.")] = Path(
        "samples.png"
    ),
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same.")] = 0,
    temperature: Annotated[float | None, typer.Option(help="Above 0; below 1 draws nearer to the mode.")] = None,
    view: Annotated[
        str | None,
        typer.Option(metavar="V", help="A picture of this kind instead of draws.", autocompletion=completing.views),
    ] = None,
    density: Annotated[
        bool, typer.Option("--density", help="The learned density instead, beside a run's data: of one or two numbers.")
    ] = False,
    label: Annotated[int | None, typer.Option(min=0, help="Of this class, where a model is conditioned on it.")] = None,
    mean: Annotated[
        bool, typer.Option("--mean", help="The mean of each draw, without the noise of the likelihood.")
    ] = False,
    features: Annotated[
        Path | None, typer.Option(help="Given these: a .npy or .csv file with one row of features, or one a draw.")
    ] = None,
    sets: Set = None,
    device: Device = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Draw from a model."""
    if density and view is not None:
        raise UsageError("--density is a picture and --view is another: one of the two")
    if (density or view is not None) and (label is not None or features is not None or mean):
        raise UsageError("--label, --features and --mean are of draws: no picture takes them")

    from .outputs import output as to_write
    from .sampling import ENDINGS, Means, sample_file
    from .viewing import density_file, view_file

    how: dict[str, Any] = {"n": n, "seed": seed, "temperature": temperature, "overrides": sets or []}
    how |= {"device": device or "auto", "trust": trust}
    where = to_write(output, ENDINGS if view is None and not density else [".png"])
    if density:
        drawn = density_file(target, where, **how)
    elif view is not None:
        drawn = view_file(target, where, view, **how)
    else:
        way = Means if mean else None
        drawn = sample_file(target, where, label=label, features=features, way=way, **how)
    if as_json:
        _print_json({"output": str(output), "n": drawn.n, "seconds": drawn.seconds})
    else:
        print(output)


@command("encode")
def encode(
    target: Target,
    output: Annotated[Path, typer.Option("-o", "--output", help="A .npy, .pt or .csv file.")] = Path("codes.npy"),
    split: Annotated[str, typer.Option(help="Of which examples: test, or train.")] = "test",
    sets: Set = None,
    device: Device = None,
    data_of_file: DataOfFile = False,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Write the codes of data, in the order of its examples."""
    from .encoding import encode_file
    from .outputs import output as to_write
    from .sampling import ARRAYS

    how: dict[str, Any] = {"overrides": sets or [], "device": device or "auto"}
    encoded = encode_file(target, to_write(output, ARRAYS), split=split, **how, trust=trust, data_of_file=data_of_file)
    if as_json:
        _print_json({"output": str(output), "n": encoded.n, "shape": encoded.shape})
    else:
        print(output)


@command("export")
def export(
    target: Target,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The file to write.")] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="safetensors, onnx, torchscript or pt2; by default as -o ends, or safetensors."),
    ] = None,
    function: Annotated[
        str | None, typer.Option(help="What a program for other runtimes does: sample or score.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Terms under which the weights are shared.")] = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Write a run's model as one share file, or as a program for other runtimes."""
    from .exporting import reexport
    from .outputs import output as to_write
    from .translation import ENDINGS, SHARE, format_named, translate

    chosen = format_named(form, output)
    where = None if output is None else to_write(output, ENDINGS.values() if form is None else [ENDINGS[chosen]])
    if chosen != SHARE:
        written = translate(target, where, form=chosen, function=function, licence=licence, trust=trust)
        answer = {**vars(written), "output": str(output or written.output)}
    elif function is None:
        file, digest = reexport(Path(target), where, licence, trust=trust)
        answer = {"output": str(output or file), "digest": digest}
    else:
        raise UsageError("--function goes with --format onnx, torchscript or pt2: a share file holds the whole model")
    if as_json:
        _print_json(answer)
    else:
        print(answer["output"])


@command("verify")
def verify(target: Target, trust: Trust = False, as_json: Json = False) -> None:
    """Check a share file: its bytes, the model that it declares, and whether what it needs is installed."""
    from . import verifying

    verified = verifying.verify(target, trust=trust)
    if as_json:
        _print_json(verified.to_dict())
    else:
        from .report import columns

        print(columns([[key, value] for key, value in verified.facts().items()], ["file", str(verified.file)]))
        rows = [[n.kind, n.name, f"{n.distribution} {n.version}", n.here or "", n.state] for n in verified.components]
        print("\n" + columns(rows, ["kind", "component", "made with", "here", "state"]))
        for problem in verified.problems:
            print(f"\n{problem}")
    if verified.missing is not None:
        raise verified.missing


@command("push")
def push(
    target: Target,
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="A repository of a hub, made if missing.")],
    private: Annotated[bool, typer.Option("--private", help="Make it for its owner alone.")] = False,
    revision: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="Push to this branch, made if missing; main by default.")
    ] = None,
    message: Annotated[str | None, typer.Option(metavar="TEXT", help="What the commit says.")] = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Share a model on a hub: its file, a card and a picture, in one commit."""
    from .sharing import push as push_to_hub

    pushed = push_to_hub(target, repository, private=private, branch=revision, message=message, trust=trust)
    if as_json:
        _print_json(
            {
                "repo": pushed.address.repository,
                "revision": pushed.address.revision,
                "address": str(pushed.address),
                "files": pushed.files,
                "digest": pushed.digest,
            }
        )
    else:
        print(pushed.address)


@command("compare")
def compare(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN_OR_FILE...",
            help="Runs, share files, or hf://OWNER/NAME[@REVISION].",
            autocompletion=completing.targets,
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", metavar="M", help="Show this figure alone, or several.", autocompletion=completing.metrics
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Sort by it: nll, 'training s'; -accuracy from the largest down."),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="A .csv, .md or .tex file.")] = None,
    as_json: Json = False,
) -> None:
    """Compare models, one row each: a table for each data that they were measured on."""
    from dataclasses import asdict

    from .comparing import compare as row_of
    from .comparing import separated, sheets
    from .files import write_whole
    from .outputs import ending
    from .outputs import output as to_write
    from .terminal import columns_of
    from .typesetting import in_latex, in_markdown, on_terminal

    forms = {".csv": None, ".md": in_markdown, ".tex": in_latex}
    where = None if output is None else to_write(output, forms)
    rows = [row_of(target) for target in targets]
    for row in rows:
        if row.not_executed:
            told = "a Python file of the run that is not executed: what needs the model is left out"
            print(f"warning: {row.source} needs {row.not_executed}, {told}", file=sys.stderr)
    made = sheets(rows, metric or [], sort)
    if where is not None:
        form = forms[ending(where)]
        text = separated(rows) if form is None else "\n".join(form(one) for one in made)
        write_whole(where, lambda aside: aside.write_text(text, encoding="utf-8"))
    if as_json:
        _print_json({"rows": [asdict(row) for row in rows]})
    else:
        print("\n\n".join(on_terminal(one, columns_of(sys.stdout)) for one in made))


@command("diff")
def diff(
    left: Annotated[
        str, typer.Argument(metavar="A", help="A spec, a run or a share file.", autocompletion=completing.declarations)
    ],
    right: Annotated[str, typer.Argument(metavar="B", help="Another.", autocompletion=completing.declarations)],
    as_json: Json = False,
) -> None:
    """Show where two declarations differ, every default written out; exit code 1 where they do."""
    from .differing import declared, differences

    found = list(differences(declared(left), declared(right)))
    if as_json:
        _print_json({"differences": [difference.to_dict() for difference in found]})
    elif found:
        print("\n\n".join([f"- {left}\n+ {right}", *(difference.shown() for difference in found)]))
    else:
        print("no differences")
    if found:
        raise typer.Exit(1)


@command("table")
def table(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A table: its path, or the name of a shipped one.", autocompletion=completing.tables
        ),
    ],
    seeds: Annotated[
        int | None, typer.Option(min=1, help="How many, from 0; the table's own number by default.")
    ] = None,
    sets: Set = None,
    runs: Annotated[Path, typer.Option(help="Where run directories are made.")] = Path("runs"),
    device: Device = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="A .csv, .md or .tex file.")] = None,
    small: Annotated[bool, typer.Option("--small", help="The specs' own seconds-long versions.")] = False,
    as_json: Json = False,
) -> None:
    """Train and compare the models of a table; what is done is not done again."""
    from dataclasses import asdict

    from .errors import Diverged, ZooError
    from .files import write_whole
    from .outputs import output as to_write
    from .tables import read_table
    from .tabling import tabulate
    from .terminal import listener
    from .typesetting import FORMS, form, plain

    where = None if output is None else to_write(output, FORMS)
    read = read_table(file)
    overrides = [*(sets or []), *([f"engine.device={device}"] if device is not None else [])]
    how: dict[str, Any] = {"seeds": seeds, "overrides": overrides, "runs": runs, "device": device or "auto"}
    rows = tabulate(read, **how, small=small, progress=listener())
    if where is not None:
        text = form(where)(rows, read.declared.note, read.declared.columns)
        write_whole(where, lambda aside: aside.write_text(text, encoding="utf-8"))
    if as_json:
        _print_json({"name": read.declared.name, "rows": [asdict(row) for row in rows]})
    else:
        print(plain(rows, read.declared.note, read.declared.columns))
    if any(row.failed for row in rows):
        raise typer.Exit(ZooError.exit_code)
    if any(row.diverged for row in rows):
        raise typer.Exit(Diverged.exit_code)


@command("fetch", data)
def fetch(
    name: Annotated[
        str, typer.Argument(help="A data set, or a spec whose data is wanted.", autocompletion=completing.data)
    ],
    sets: Set = None,
    as_json: Json = False,
) -> None:
    """Download what a data set lacks into $ZOO_DATA or the user's cache, compare checksums, and read it."""
    from .fetching import fetch as get
    from .terminal import say

    got = get(name, sets or [])
    if as_json:
        folders = {called: str(folder) for called, folder in got.folders.items()}
        _print_json({"folders": folders, "examples": got.examples, "fingerprints": got.fingerprints})
        return
    say(f"{name}: " + ", ".join(f"{n:,} {split} examples" for split, n in got.examples.items()))
    if not got.folders:
        say("all of it is here: there is nothing to download")
    for folder in got.folders.values():
        print(folder)


@command("plugins")
def plugins(as_json: Json = False) -> None:
    """List installed plugins and their state."""
    from .registry import installed
    from .report import columns

    found = installed().plugins()
    if as_json:
        rows = [{k: v for k, v in vars(p).items() if k != "components"} | {"n": len(p.components)} for p in found]
        _print_json({"plugins": rows})
        return
    rows_ = [
        [p.name, f"{p.distribution} {p.version}", "broken" if p.error else "ok", str(len(p.components)), p.title]
        for p in found
    ]
    print(columns(rows_, ["plugin", "distribution", "state", "components", ""]))
    for plugin in found:
        if plugin.error:
            print(f"\n{plugin.name}:\n{plugin.error}")


@command("schema")
def schema(
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write it here.")] = None, as_json: Json = False
) -> None:
    """Print the JSON Schema of specs over all that is installed."""
    from .files import write_whole
    from .listing import whole_schema
    from .outputs import output as to_write

    where = None if output is None else to_write(output, [".json"])
    text = json.dumps(whole_schema())  # on one line: to indent so much takes longer than all the rest
    if where is None:
        print(text, file=_answers.get())
        return
    write_whole(where, lambda aside: _write(aside, text))
    if as_json:
        _print_json({"output": str(output)})
    else:
        print(output)


@command("docs")
def docs(
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder of the site.")] = Path("site"),
    as_json: Json = False,
) -> None:
    """Build the documentation of all that is installed: a site whose pages open without a server."""
    from .site import build as build_site

    built = build_site(output)
    for problem in built.problems:
        print(f"warning: {problem}", file=sys.stderr)
    if as_json:
        _print_json({"output": str(output), "pages": built.pages, "problems": built.problems})
    else:
        print(output / "index.html")


@command("plugin", new)
def new_plugin(
    name: Annotated[
        str, typer.Argument(help="What stands before its components' names in specs: acme, in acme.spline.")
    ],
    kind: Annotated[
        str,
        typer.Option(metavar="KIND", help="What kind of component to begin with.", autocompletion=completing.examples),
    ] = "bijection",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The package's folder; by default zoo-NAME.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="An SPDX name; asked for on a terminal, or else MIT.")] = None,
    as_json: Json = False,
) -> None:
    """Write a package with one component, its tests and a spec: it installs and passes as it is."""
    from .scaffolding import new_plugin as write

    if licence is None and sys.stdin.isatty() and sys.stderr.isatty():
        # A prompt of typer's leaves a space on standard output.
        print("Licence [MIT]: ", end="", file=sys.stderr, flush=True)
        licence = sys.stdin.readline().strip()
    made = write(name, kind, output or Path(f"zoo-{name}"), licence or "MIT")
    if as_json:
        _print_json({"folder": str(made.folder), "files": made.files, "component": made.component})
        return
    print(made.folder)
    print(f"next: cd {made.folder} && pip install -e '.[test]' && pytest", file=sys.stderr)


@command("spec", new)
def new_spec(
    like: Annotated[
        str, typer.Option(metavar="SPEC", help="The shipped spec to start from.", autocompletion=completing.shipped)
    ],
    output: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The file to write, mine.yaml; by default SPEC.yaml.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy a shipped spec, comments and all, to start from; the file's name becomes its own."""
    from .scaffolding import new_spec as write

    written = write(like, output)
    if as_json:
        _print_json({"output": str(written)})
    else:
        print(written)


def _refuse_python_files(spec: str, trust: bool) -> None:
    """PluginError where looking at the spec of a run would execute its Python files."""
    from .errors import PluginError
    from .spec import find_spec, python_files_of

    files = [] if trust else python_files_of(find_spec(spec))
    if files:
        raise PluginError(
            f"{spec} needs {', '.join(files)}, and no command that only looks at a run executes a file of it: read the "
            "file, and add --trust"
        )


def _resolved(name: str, overrides: list[str], trust: bool) -> Resolved:
    from .listing import Resolved, resolved
    from .shipped import shipped_specs

    if name in shipped_specs() and not overrides and not Path(name).exists():
        return resolved(name)
    from .spec import as_written, find_spec, load_spec, python_files_of
    from .yaml import write_yaml

    path = find_spec(name)
    if not trust and not overrides and python_files_of(path):
        node = as_written(path)
    else:
        _refuse_python_files(name, trust)
        node = load_spec(path, overrides, trust=trust).resolved()
    return Resolved(node, write_yaml(node))


def _measurement_row(name: str, measured: Measurement) -> list[str]:
    rows = f" ({measured.not_finite} of {measured.n} rows are not finite)" if measured.not_finite else ""
    return [name, f"{measured.value:.4f}{rows}", str(measured.n), measured.kind]


def _verdicts(spec: Spec, name: str, overrides: list[str], trust: bool) -> list[Verdict]:
    """The laws, held against the spec's own small version where it has one."""
    from .lawful import judge
    from .spec import load_spec

    small: dict[str, Any] = {"small": True, "trust": trust, "say": lambda message: None}
    return judge(load_spec(name, overrides, **small) if spec.small else spec)


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")


def _print_json(value: Any) -> None:
    print(reply(value), file=_answers.get())
