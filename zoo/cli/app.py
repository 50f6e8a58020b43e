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
    "list", "show", "build", "train", "evaluate", "sample", "encode", "compare", "table", "diff",
    "export", "verify", "figures", "push", "data", "new", "plugins", "schema", "docs",
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
Target = Annotated[  # a path would make hf:/ of hf://
    str,
    typer.Argument(
        metavar="RUN_OR_FILE",
        help="A run directory, a share file, or hf://OWNER/NAME[@REVISION].",
        autocompletion=completion.targets,
    ),
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


def command(name: str, of: typer.Typer = app) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a command: whatever fails is one message and its exit code, never a traceback."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            failures.prepare_streams()
            try:
                with warnings.catch_warnings():
                    warnings.showwarning = warn
                    with answering(sys.stdout, kwargs.get("as_json", False)), following():
                        function(*args, **kwargs)
                sys.stdout.flush()
            except typer.Exit:
                raise
            except BaseException as error:
                raise typer.Exit(failures.report(error)) from None

        run.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
        return of.command(name)(run)

    return register


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
