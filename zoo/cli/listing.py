"""Commands that list what is installed: list, show, plugins, schema, docs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from . import completion
from .app import (
    Json,
    Set,
    Trust,
    answers,
    command,
    print_json,
    refuse_python_files,
)

if TYPE_CHECKING:
    from ..catalogue.entries import Parameter
    from ..catalogue.queries import Resolved, SpecLine


@command("list")
def list_(
    kind: Annotated[
        str | None, typer.Argument(help="List only the components of this kind.", autocompletion=completion.kinds)
    ] = None,
    as_json: Json = False,
) -> None:
    """List specs, kinds and components, with one line each; specs after a star have trained weights here."""
    from ..catalogue import queries
    from ..errors import nearest

    shelves = queries.catalogue()
    found = queries.components(shelves, kind)
    if kind is not None and not found:
        raise UsageError(f"unknown kind '{kind}'{nearest(kind, queries.components(shelves))}")
    shipped = [] if kind else queries.specs(shelves)
    if as_json:
        specs = [vars(s) | {"weights": s.weights and str(s.weights)} for s in shipped]
        print_json({"specs": specs, "components": found})
        return
    width = max([len(s.name) for s in shipped] + [len(name) for names in found.values() for name in names])
    families = dict.fromkeys(line.family for line in shipped)
    groups = {f"Specs: {f}": {s.name: _spec_line(s) for s in shipped if s.family == f} for f in families}
    for title, entries in (groups | {f"Components: {of}": names for of, names in found.items()}).items():
        print(title)
        for name, line in entries.items():
            print(f"  {name.ljust(width)}  {line}".rstrip())
        print()


@command("show")
def show(
    name: Annotated[str, typer.Argument(help="A component or a spec.", autocompletion=completion.names)],
    sets: Set = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Show a component: formula, reference, parameters; or a spec, resolved."""
    from ..catalogue import queries
    from ..errors import nearest
    from ..registry.shipped import shipped_specs

    shelves, shipped = queries.catalogue(), shipped_specs()
    found = queries.pages(shelves, name)
    is_spec = name in shipped or name.endswith((".yaml", ".yml"))
    if not found and not is_spec:
        known = {entry.name for shelf in shelves for entry in shelf.entries} | shipped.keys()
        raise UsageError(f"unknown component or spec '{name}'{nearest(name, known)}")
    pages: list[dict[str, Any]] = []
    for page in found:
        kind, plugin = page.entry.kind, page.shelf
        facts = {"kind": kind, "name": name, "distribution": plugin.distribution, "version": plugin.version}
        doc, rows, declared = page.entry.doc, page.entry.parameters, page.entry.example
        pages.append({**facts, "doc": doc, "parameters": [vars(row) for row in rows], "example": declared})
        if not as_json:
            print(f"{kind} '{name}' ({plugin.distribution} {plugin.version})\n\n{doc}\n\nIn a spec: {declared}\n")
            print("\n".join(["Parameters:", *map(_parameter, rows)] if rows else ["No parameters."]), end="\n\n")
    resolved = _resolved(name, sets or [], trust) if is_spec else None
    if as_json:
        print_json({"components": pages, "spec": resolved and resolved.node})
    elif resolved is not None:
        print(resolved.text, end="")


@command("plugins")
def plugins(as_json: Json = False) -> None:
    """List installed plugins and their state."""
    from ..registry.registry import installed
    from ..report.text_table import columns

    found = installed().plugins()
    if as_json:
        rows = [{k: v for k, v in vars(p).items() if k != "components"} | {"n": len(p.components)} for p in found]
        print_json({"plugins": rows})
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
    from ..catalogue.queries import whole_schema
    from ..registry.outputs import output as to_write
    from ..storage.atomic import write_whole

    where = None if output is None else to_write(output, [".json"])
    text = json.dumps(whole_schema())  # on one line: to indent so much takes longer than all the rest
    if where is None:
        print(text, file=answers.get())
        return
    write_whole(where, lambda aside: _write(aside, text))
    if as_json:
        print_json({"output": str(output)})
    else:
        print(output)


@command("docs")
def docs(
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder of the site.")] = Path("site"),
    as_json: Json = False,
) -> None:
    """Build the documentation of all that is installed: a site whose pages open without a server."""
    from ..site.build import build as build_site

    built = build_site(output)
    for problem in built.problems:
        print(f"warning: {problem}", file=sys.stderr)
    if as_json:
        print_json({"output": str(output), "pages": built.pages, "problems": built.problems})
    else:
        print(output / "index.html")


def _spec_line(spec: SpecLine) -> str:
    """A description, before the figure that the spec's model has reached; starred where its weights are installed."""
    from ..catalogue.figures import figure

    star = "* " if spec.weights else "  "
    reached = f"; {figure(spec.reached[0])}" if spec.reached else ""
    return f"{star}{spec.description.removesuffix('.')}{reached}"


def _parameter(row: Parameter) -> str:
    """A parameter with its type, default and description, on a line and those below it."""
    from ..catalogue.docstrings import plain

    line = f"  {row.name}: {row.type}" + (f" = {row.default}" if row.default else "")
    return "\n".join([line, *wrap(plain(row.description), 112, initial_indent=" " * 6, subsequent_indent=" " * 6)])


def _resolved(name: str, overrides: list[str], trust: bool) -> Resolved:
    from ..catalogue.queries import Resolved, resolved
    from ..registry.shipped import shipped_specs

    if name in shipped_specs() and not overrides and not Path(name).exists():
        return resolved(name)
    from ..document.yaml import write_yaml
    from ..spec import as_written, find_spec, load_spec, python_files_of

    path = find_spec(name)
    if not trust and not overrides and python_files_of(path):
        node = as_written(path)
    else:
        refuse_python_files(name, trust)
        declared = load_spec(path, overrides, trust=trust)
        node = declared.resolved() if overrides else declared.described()
    return Resolved(node, write_yaml(node))


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")
