"""Commands that share a model: export, verify, push."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from .app import (
    Json,
    Target,
    Trust,
    command,
    print_json,
)


@command("export")
def export(
    target: Target,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The file to write.")] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", help="safetensors, onnx, torchscript or pt2; by default from the ending of -o, or safetensors."
        ),
    ] = None,
    function: Annotated[
        str | None, typer.Option(help="The function that a program for other runtimes computes: sample or score.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Terms under which the weights are shared.")] = None,
    dtype: Annotated[
        str | None,
        typer.Option(help="Store the weights as float16 or bfloat16, in half the size; figures are left out."),
    ] = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Write a run's model as one share file, or as a program for other runtimes."""
    from ..export.translation import ENDINGS, SHARE, format_named, translate
    from ..registry.outputs import output as to_write
    from ..share.file import reexport

    chosen = format_named(form, output)
    where = None if output is None else to_write(output, ENDINGS.values() if form is None else [ENDINGS[chosen]])
    if chosen != SHARE and dtype is not None:
        raise UsageError("--dtype requires --format safetensors: a program computes with the model's own precision")
    if chosen != SHARE:
        written = translate(target, where, form=chosen, function=function, licence=licence, trust=trust)
        answer = {**vars(written), "output": str(output or written.output)}
    elif function is None:
        file, digest = reexport(Path(target), where, licence, dtype=dtype, trust=trust)
        answer = {"output": str(output or file), "digest": digest}
    else:
        raise UsageError("--function requires --format onnx, torchscript or pt2: a share file contains the whole model")
    if as_json:
        print_json(answer)
    else:
        print(answer["output"])


@command("verify")
def verify(target: Target, trust: Trust = False, as_json: Json = False) -> None:
    """Check a share file: its bytes, its model, and whether the required packages are installed."""
    from ..share import verify

    verified = verify.verify(target, trust=trust)
    if as_json:
        print_json(verified.to_dict())
    else:
        from ..report.text_table import columns

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
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="A repository of a hub; created if missing.")],
    private: Annotated[bool, typer.Option("--private", help="Create a private repository.")] = False,
    revision: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="Push to this branch; created if missing; main by default.")
    ] = None,
    message: Annotated[str | None, typer.Option(metavar="TEXT", help="The commit message.")] = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Share a model on a hub: its file, a card and a picture, in one commit."""
    from ..export.push import push as push_to_hub

    pushed = push_to_hub(target, repository, private=private, branch=revision, message=message, trust=trust)
    if as_json:
        print_json(
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
