"""Catalogue entries of installed plugins, cached between commands so that torch need not be imported.

A plugin has a shelf, of what its components are called, what they say of themselves and what they take. A shelf is
made once, by importing the plugin, and again when the plugin's distribution or its sources change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..registry.discovery import Found, environment
from ..storage.cache import keep, recalled


@dataclass(frozen=True)
class Parameter:
    """A parameter of a component, as a spec's author sees it."""

    name: str
    type: str
    default: str
    description: str


@dataclass(frozen=True)
class Entry:
    """A component: its docstring, its parameters, how a spec declares it, and its part of the JSON Schema.

    What is cached names kinds by their keys; `zoo.catalogue.labels` puts labels in their place.
    """

    kind: str
    name: str
    summary: str
    doc: str
    parameters: list[Parameter]
    example: str
    schema: dict[str, Any]
    formerly: list[str]


@dataclass(frozen=True)
class Shelf:
    """Entries of a plugin; ``error`` says why it cannot be used."""

    name: str
    module: str
    distribution: str
    version: str
    title: str
    error: str | None
    entries: list[Entry]


def shelf_kept(plugin: Found) -> Shelf | None:
    """The cached entries of a plugin that is unchanged since, or that cannot be used; else None."""
    if plugin.fault is not None:
        return Shelf(plugin.name, plugin.module, plugin.distribution, plugin.version, "", plugin.fault, [])
    values = recalled(_name(plugin), _stamps(plugin))
    try:
        return Shelf(**values | {"entries": [_entry(entry) for entry in values["entries"]]})
    except (LookupError, TypeError):  # nothing, or what another zoo has kept
        return None


def keep_shelf(plugin: Found, shelf: Shelf) -> None:
    """Store the entries of a plugin in the cache."""
    keep(_name(plugin), _stamps(plugin)[shelf.error is not None], shelf)


def _name(plugin: Found) -> str:
    return f"{plugin.distribution}/{plugin.name}"


def _stamps(plugin: Found) -> tuple[str, str]:
    """Of a plugin that works, and of one that does not: why may have to do with all that is installed."""
    stamp = plugin.stamp()
    return stamp, f"{stamp} {environment()}"


def _entry(values: dict[str, Any]) -> Entry:
    return Entry(**values | {"parameters": [Parameter(**row) for row in values["parameters"]]})
