"""Commands that create files to start from: new plugin, new spec."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from . import completion
from .app import (
    Json,
    command,
    new,
    print_json,
)


@command("plugin", new)
def new_plugin(
    name: Annotated[str, typer.Argument(help="The prefix of its components' names in specs: acme, in acme.spline.")],
    kind: Annotated[
        str,
        typer.Option(metavar="KIND", help="The kind of the first component.", autocompletion=completion.examples),
    ] = "bijection",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The folder to create; by default zoo-NAME.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="An SPDX licence identifier; by default, you are asked on a terminal, else MIT.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a package with one component, its tests and a spec, ready to install and test."""
    from .scaffold import new_plugin as write

    if licence is None and sys.stdin.isatty() and sys.stderr.isatty():
        # A prompt of typer's leaves a space on standard output.
        print("Licence [MIT]: ", end="", file=sys.stderr, flush=True)
        licence = sys.stdin.readline().strip()
    made = write(name, kind, output or Path(f"zoo-{name}"), licence or "MIT")
    if as_json:
        print_json({"folder": str(made.folder), "files": made.files, "component": made.component})
        return
    print(made.folder)
    print(f"next: cd {made.folder} && pip install -e '.[test]' && pytest", file=sys.stderr)


@command("spec", new)
def new_spec(
    like: Annotated[
        str, typer.Option(metavar="SPEC", help="The shipped spec to start from.", autocompletion=completion.shipped)
    ],
    output: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The file to write, mine.yaml; by default SPEC.yaml.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy a shipped spec, with its comments, as a starting point; it gets the name of the file."""
    from .scaffold import new_spec as write

    written = write(like, output)
    if as_json:
        print_json({"output": str(written)})
    else:
        print(written)
