"""Labels of kinds in the catalogue: entries refer to kinds by keys, readers see labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from ..distribution import HOME
from ..registry.kinds import labels
from .entries import Entry, Shelf
from .json_schema import references, with_references


def labelled(shelves: Iterable[Shelf]) -> list[Shelf]:
    """The shelves with labels of kinds in place of their keys; the labels distinguish all kinds in them.

    What zoo brings names only kinds of zoo's own, whose keys are their labels.
    """
    shelves = list(shelves)
    keys = dict.fromkeys(key for shelf in shelves for entry in shelf.entries for key in _kinds_in(shelf, entry))
    called = labels(keys, {shelf.module: shelf.name for shelf in shelves})
    changed = {key: called[key] for key in sorted(called, key=len, reverse=True) if called[key] != key}
    return [_labelled(shelf, changed) if changed and shelf.distribution != HOME else shelf for shelf in shelves]


def _kinds_in(shelf: Shelf, entry: Entry) -> Iterator[str]:
    """The kind of a component, and those of its parameters."""
    yield entry.kind
    if shelf.distribution != HOME:
        for name in references(entry.schema):
            if not name.startswith(("record.", "item.record.")):
                yield name.removeprefix("item.")


def _labelled(shelf: Shelf, called: Mapping[str, str]) -> Shelf:
    return replace(shelf, entries=[_entry(entry, called) for entry in shelf.entries])


def _entry(entry: Entry, called: Mapping[str, str]) -> Entry:
    schema = with_references(
        entry.schema, {**called, **{f"item.{key}": f"item.{label}" for key, label in called.items()}}
    )
    parameters = [replace(one, type=_text(one.type, called)) for one in entry.parameters]
    return replace(entry, kind=called.get(entry.kind, entry.kind), parameters=parameters, schema=schema)


def _text(text: str, called: Mapping[str, str]) -> str:
    for key, label in called.items():
        text = text.replace(key, label)
    return text
