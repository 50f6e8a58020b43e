"""The command line: parses, calls, prints. No logic, and no torch until a command needs it."""

from __future__ import annotations

import atexit
import functools
import gc
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from contextvars import ContextVar
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from .. import __version__
from . import completion, failures
from .replies import reply
from .terminal import following

# A process that ends need not look for cycles among all of torch's objects: that took over half a second.
atexit.register(gc.freeze)

JOURNEY = (
    "list", "show", "build", "train", "runs", "evaluate", "sample", "encode", "compare", "table", "diff",
    "export", "verify", "figures", "push", "data", "new", "plugins", "doctor", "schema", "docs",
)  # fmt: skip
"""The commands in the order in which a user meets them."""


class InOrder(TyperGroup):
    """Lists the commands in the order of the journey, whichever module brings them."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=JOURNEY.index)


app = typer.Typer(
    cls=InOrder,
    help="A zoo of deep generative models: declare one in YAML, train it, score it, sample it, share it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

SpecArgument = Annotated[
    str,
    typer.Argument(
        metavar="SPEC", help="A spec: a path, or the name of a shipped one.", autocompletion=completion.specs
    ),
]
LAST = completion.LAST[0]
NAMED = ("target", "targets", "left", "right", "resume")
"""The parameters of commands that name runs, each of which may be ``@last``."""
RUN_OR_FILE = "A run directory, @last, a share file, a spec with weights, or hf://OWNER/NAME[@REVISION]."
Target = Annotated[  # a path would make hf:/ of hf://
    str,
    typer.Argument(
        metavar="RUN_OR_FILE",
        help=RUN_OR_FILE,
        autocompletion=completion.targets,
    ),
]
RunArguments = Annotated[
    list[str], typer.Argument(metavar="RUN...", help="Run directories, or @last.", autocompletion=completion.runs)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="K=V", help="Override a key: model.transforms.1.repeat=8")
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Execute the Python files of a run that was trained elsewhere: read them first.")
]
DataOfFile = Annotated[
    bool,
    typer.Option("--data-of-file", help="Read the data that a file names, from any path."),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of all random numbers.")]
Device = Annotated[str | None, typer.Option(help="Device: auto, cpu, cuda, cuda:N or mps.")]


new = typer.Typer(help="Create a plugin or a spec from a template.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(new, name="new")
data = typer.Typer(help="Download public data sets.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data, name="data")
runs = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
app.add_typer(runs, name="runs")


def command(name: str, of: typer.Typer = app) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a command: whatever fails is one message and its exit code, never a traceback."""
    return lambda function: of.command(name)(_guarded(function))


def shown_alone(group: typer.Typer) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register what a group of commands does without one of them."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        run = _guarded(function)

        @functools.wraps(run)
        def unless_a_command_follows(ctx: typer.Context, **kwargs: Any) -> Any:
            return None if ctx.invoked_subcommand else run(**kwargs)

        own = inspect.signature(run)
        context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        unless_a_command_follows.__signature__ = own.replace(  # type: ignore[attr-defined]
            parameters=[context, *own.parameters.values()]
        )
        return group.callback(invoke_without_command=True)(unless_a_command_follows)

    return register


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        failures.prepare_streams()
        try:
            with warnings.catch_warnings():
                warnings.showwarning = warn
                with answering(sys.stdout, kwargs.get("as_json", False)), following():
                    function(*args, **_with_last(kwargs))
            sys.stdout.flush()
        except typer.Exit:
            raise
        except BaseException as error:
            raise typer.Exit(failures.report(error)) from None

    run.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
    return run


def _with_last(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a command in which the run that was trained last has its path in place of ``@last``."""
    if not any("@" in str(given.get(name)) for name in (*NAMED, "sets")):
        return given
    from ..run.overview import named

    def found(name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [found(name, item) for item in value]
        if name == "sets":
            key, _, setting = str(value).partition("=")
            return f"{key}={named(LAST)}" if setting == LAST else value
        return value if value is None else type(value)(named(str(value)))

    return {name: found(name, value) if name in (*NAMED, "sets") else value for name, value in given.items()}


answers: ContextVar[TextIO | None] = ContextVar("answers", default=None)


@contextmanager
def answering(stream: TextIO, as_json: bool) -> Iterator[None]:
    """Within this block an object alone goes to standard output, whatever else is printed, by a plugin too."""
    token = answers.set(stream)
    try:
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            yield
    finally:
        answers.reset(token)


def warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show a warning to the user; warnings for programmers are shown as by Python."""
    ours = category.__module__.partition(".")[0] == __name__.partition(".")[0]
    text = f"warning: {message}\n" if ours else warnings.formatwarning(message, category, filename, lineno, line)
    print(text, end="", file=file or sys.stderr)


def version(asked: bool) -> None:
    if asked:
        print(f"zoo {__version__}")
        raise typer.Exit


def debug(asked: bool) -> None:
    """For this process and for those that it starts."""
    if asked:
        os.environ[failures.DEBUG] = "1"


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", callback=debug, help="Show the traceback of an error, as ZOO_DEBUG=1 does.")
    ] = False,
) -> None:
    """A zoo of deep generative models: declare one in YAML, train it, score it, sample it, share it."""


def refuse_python_files(spec: str, trust: bool) -> None:
    """PluginError where looking at the spec of a run would execute its Python files."""
    from ..errors import PluginError
    from ..spec import find_spec, python_files_of

    files = [] if trust else python_files_of(find_spec(spec))
    if files:
        raise PluginError(
            f"{spec} needs {', '.join(files)}: commands that only inspect a run do not execute its files. Read them, "
            "then add --trust"
        )


def print_json(value: Any) -> None:
    print(reply(value), file=answers.get())
