"""Answers of ``zoo list``, ``zoo show`` and ``zoo schema``, from the cache if possible."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..registry.discovery import Found, environment, found, sources, stamp_of
from ..registry.kinds import bare_name
from ..registry.shipped import shipped_specs, shipped_weights
from ..storage.cache import keep, recalled
from .docstrings import plain
from .entries import Entry, Shelf, keep_shelf, shelf_kept
from .json_schema import schema
from .labels import labelled


@dataclass(frozen=True)
class SpecLine:
    """A shipped spec in a listing."""

    name: str
    family: str
    description: str
    reached: list[dict[str, Any]]
    """The figures that its model has reached, the first one first: metric, value, standard error, n, kind, file."""
    weights: Path | None
    """The share file of its trained model, if that is installed."""


@dataclass(frozen=True)
class Page:
    """A component, and the plugin that brings it."""

    shelf: Shelf
    entry: Entry


@dataclass(frozen=True)
class Resolved:
    """A spec with every default written out, as values and as YAML."""

    node: dict[str, Any]
    text: str


def catalogue(plugins: Iterable[Found] | None = None) -> list[Shelf]:
    """The entries of these plugins, or of all installed ones; only plugins that have changed are imported."""
    plugins = found() if plugins is None else list(plugins)
    shelves = {plugin: shelf_kept(plugin) for plugin in plugins}
    new = [plugin for plugin, shelf in shelves.items() if shelf is None]
    if new:
        from .describe import describe

        for plugin in new:
            shelves[plugin] = shelf = describe(plugin)
            keep_shelf(plugin, shelf)
        _schema_of_spec()  # torch is imported by now: the first schema need not wait for it again
    return labelled(shelf for shelf in shelves.values() if shelf is not None)


def remembered() -> list[Shelf]:
    """The shelves that can be had without importing a plugin."""
    return labelled(shelf for shelf in map(shelf_kept, found()) if shelf is not None)


def components(shelves: Iterable[Shelf], kind: str | None = None) -> dict[str, dict[str, str]]:
    """Kind -> name -> one line; of all kinds, or of those that have this label or this name."""
    listed: dict[str, dict[str, str]] = {}
    entries = [e for shelf in shelves for e in shelf.entries if kind in (None, e.kind, bare_name(e.kind))]
    for entry in sorted(entries, key=lambda entry: (entry.kind, entry.name)):
        listed.setdefault(entry.kind, {})[entry.name] = plain(entry.summary)
    return listed


def pages(shelves: Iterable[Shelf], name: str) -> list[Page]:
    """The components of a name, one for each kind that has it."""
    return [Page(shelf, entry) for shelf in shelves for entry in shelf.entries if name in (entry.name, *entry.formerly)]


def specs(shelves: Iterable[Shelf]) -> list[SpecLine]:
    """The shipped specs, each with the family of its model: the title of the plugin that brings the model."""
    families = {entry.name: shelf.title for shelf in shelves for entry in shelf.entries if entry.kind == "model"}
    rows = recalled("specs", [_specs_stamp()])
    if rows is None:
        from .describe import describe_spec, reached_by

        rows = [[name, *describe_spec(path), reached_by(path)] for name, path in shipped_specs().items()]
        keep("specs", _specs_stamp(), rows)
    weights = shipped_weights()
    return [
        SpecLine(name, families.get(model, "Unknown"), description, reached, weights.get(name))
        for name, model, description, reached in rows
    ]


def specs_kept() -> dict[str, str]:
    """The names of the shipped specs, with their descriptions as far as those are remembered."""
    rows = recalled("specs", [_specs_stamp()]) or []
    return dict.fromkeys(shipped_specs(), "") | {name: description for name, _, description, _ in rows}


def _specs_stamp() -> str:
    return f"{stamp_of(shipped_specs().values())} {sources('zoo')}"


def resolved(name: str) -> Resolved:
    """A shipped spec with every default written out."""
    stamp = f"{stamp_of(shipped_specs().values())} {_installed()}"
    kept = recalled(f"resolved/{name}", [stamp])
    if kept is None:
        from ..document.yaml import write_yaml
        from ..spec import load_spec

        # As it will be recalled, whether it is now or not.
        node = json.loads(json.dumps(load_spec(name).described()))
        kept = {"node": node, "text": write_yaml(node)}
        keep(f"resolved/{name}", stamp, kept)
    return Resolved(**kept)


def whole_schema() -> dict[str, Any]:
    """The JSON Schema of all that is installed."""
    stamp = _installed()
    document: dict[str, Any] | None = recalled("schema", [stamp])
    if document is None:
        document = schema(catalogue(), _schema_of_spec())
        keep("schema", stamp, document)
    return document


def _schema_of_spec() -> Any:
    of_spec = recalled("spec", [sources("zoo")])
    if of_spec is None:
        from .describe import schema_of_spec

        of_spec = schema_of_spec()
        keep("spec", sources("zoo"), of_spec)
    return of_spec


def _installed() -> str:
    """A digest of the installed distributions and plugins."""
    stamps = [environment(), *(plugin.stamp() for plugin in found())]
    return hashlib.sha256("\n".join(stamps).encode()).hexdigest()
