"""Commands about data: data fetch."""

from __future__ import annotations

from typing import Annotated

import typer

from . import completion
from .app import (
    Json,
    Set,
    command,
    data,
    print_json,
)


@command("fetch", data)
def fetch(
    name: Annotated[str, typer.Argument(help="A data set, or a spec that names one.", autocompletion=completion.data)],
    sets: Set = None,
    as_json: Json = False,
) -> None:
    """Download the missing files of a data set into $ZOO_DATA or the user's cache, verify checksums, and read it."""
    from ..data.fetch import fetch as get
    from .terminal import say

    got = get(name, sets or [])
    if as_json:
        folders = {called: str(folder) for called, folder in got.folders.items()}
        print_json({"folders": folders, "examples": got.examples, "fingerprints": got.fingerprints})
        return
    say(f"{name}: " + ", ".join(f"{n:,} {split} examples" for split, n in got.examples.items()))
    if not got.folders:
        say("the data set is complete: nothing to download")
    for folder in got.folders.values():
        print(folder)
