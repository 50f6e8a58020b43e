"""The JSON Schema of specs over everything that is installed, for editors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any

from .docstrings import plain
from .entries import Entry, Shelf

HOME = "#/$defs/"
CHANGED = "changed."
"""Before the names of definitions of what changes another: nothing in them is required."""


def schema(shelves: Iterable[Shelf], of_spec: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON Schema (2020-12): one definition a component, one a kind that chooses by ``type``.

    ``of_spec`` is the schema of a spec itself, in parts, as `of_record` has it.
    """
    definitions: dict[str, Any] = dict(of_spec["records"])
    kinds: dict[str, list[Entry]] = {}
    for entry in sorted((entry for shelf in shelves for entry in shelf.entries), key=lambda e: (e.kind, e.name)):
        kinds.setdefault(entry.kind, []).append(entry)
        definitions |= {f"{entry.kind}.{entry.name}": entry.schema["definition"], **entry.schema["records"]}
    root = of_spec["definition"]
    wanted = sorted(set(references([root, definitions])))
    for item in [name for name in wanted if name.startswith("item.")]:
        definitions[item] = _item(item.removeprefix("item."))
    for kind in dict.fromkeys(name.removeprefix("item.") for name in wanted):
        if kind not in definitions:
            entries = kinds.get(kind, [])
            bare = [entry for entry in entries if _is_bare(entry.schema["definition"])]
            definitions[kind] = _kind(entries, bare)
            # What is changed may be of the same name already, and have what that requires.
            definitions[CHANGED + kind] = _changed(_kind(entries, entries))
    keys, changed = root["properties"], {key: _changed(value) for key, value in root["properties"].items()}
    described = {key: {"description": value.get("description", "")} for key, value in keys.items()}
    extends = {
        "type": "string",
        "description": "The spec that this one changes: its path, or the name of a shipped one.",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "zoo spec",
        "description": "The declaration of a deep generative model.",
        **{key: value for key, value in root.items() if key not in ("properties", "required")},
        "properties": {**described, "extends": extends},
        # A spec that extends another holds what it changes: whether that is whole shows after merging.
        "if": {"required": ["extends"]},
        "then": {"properties": changed},
        "else": {"properties": keys, "required": root["required"]},
        "$defs": _with_all_changed(changed, definitions),
    }


def of_record(schema: dict[str, Any], owner: str = "") -> dict[str, Any]:
    """The JSON Schema of a record by pydantic: its ``definition``, and those of the ``records`` in it.

    ``owner`` stands before the names of those, since records of several components may be called the same.
    """
    home = f"record.{owner}." if owner else "record."
    records = {home + name: _rewritten(inner, home) for name, inner in schema.pop("$defs", {}).items()}
    return {"definition": _rewritten(schema, home), "records": records}


def either(names: list[str]) -> dict[str, Any]:
    """One of these words."""
    return {"const": names[0]} if len(names) == 1 else {"enum": names}


def with_former_keys(definition: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """The changes of a component's definition for former names of its parameters, one name for each."""
    keys, required = dict(definition["properties"]), list(definition["required"])
    names: dict[str, list[str]] = {}
    for former, now in renamed.items():
        names.setdefault(now, [now]).append(former)
        keys[former] = {**keys[now], "description": f"Renamed to `{now}`.", "deprecated": True}
    rules: list[dict[str, Any]] = []
    for now, alike in names.items():
        rules += [{"not": {"required": list(pair)}} for pair in combinations(alike, 2)]
        if now in required:
            required.remove(now)
            rules.append({"anyOf": [{"required": [name]} for name in alike]})
    return {"properties": keys, "required": required, "allOf": rules}


def _is_bare(definition: Mapping[str, Any]) -> bool:
    """Whether a component's name alone declares it."""
    return definition["required"] == ["type"] and not any("anyOf" in rule for rule in definition.get("allOf", []))


def _kind(entries: list[Entry], bare: list[Entry]) -> dict[str, Any]:
    """``if/then`` on ``type`` rather than ``oneOf``: an editor then complains about the one component that is meant."""
    branches = [
        {
            "if": {"type": "object", "properties": {"type": either(_called(entry))}, "required": ["type"]},
            "then": {"$ref": f"{HOME}{entry.kind}.{entry.name}"},
        }
        for entry in entries
    ]
    mapping = {"type": "object", "properties": {"type": _names(entries)}, "required": ["type"]}
    described = {"description": entries[0].schema["kind"]} if entries else {}
    return {**described, "anyOf": [_names(bare), mapping], "allOf": branches}


def _names(entries: list[Entry]) -> dict[str, Any]:
    """The names of components, with the descriptions that editors show for them."""
    named = [
        (name, plain(entry.summary) if name == entry.name else f"Renamed to `{entry.name}`.")
        for entry in entries
        for name in _called(entry)
    ]
    return {"enum": [name for name, _ in named], "enumDescriptions": [summary for _, summary in named]}


def _called(entry: Entry) -> list[str]:
    return [entry.name, *entry.formerly]


def _rewritten(node: Any, home: str) -> Any:
    """Markers of parts become references to kinds, and lists of parts admit ``repeat``; ``home`` is of records."""
    if isinstance(node, list):
        return [_rewritten(item, home) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: value for key, value in node.items() if key != "title" or not isinstance(value, str)}
    if "x-zoo-kind" in node:
        return {"$ref": HOME + node.pop("x-zoo-kind"), **node}
    if str(node.get("$ref", "")).startswith(HOME):
        return {**node, "$ref": HOME + home + node["$ref"].removeprefix(HOME)}
    rewritten = {key: _rewritten(value, home) for key, value in node.items()}
    items = rewritten.get("items", {})
    if node.get("type") == "array" and isinstance(items, dict) and str(items.get("$ref", "")).startswith(HOME):
        rewritten["items"] = {"$ref": items["$ref"].replace(HOME, HOME + "item.")}
    return rewritten


def _item(name: str) -> dict[str, Any]:
    """The schema of an item of a list: an item, or a repetition of items."""
    repetition = {
        "type": "object",
        "description": "How many times the list 'of' is repeated.",
        "properties": {
            "repeat": {"type": "integer", "minimum": 0},
            "of": {"type": "array", "items": {"$ref": f"{HOME}item.{name}"}},
        },
        "required": ["repeat", "of"],
        "additionalProperties": False,
    }
    repeats = {"type": "object", "required": ["repeat"], "not": {"required": ["type"]}}
    return {"if": repeats, "then": repetition, "else": {"$ref": HOME + name}}


def _with_all_changed(root: Any, definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The definitions, with those of partial declarations that the root or other definitions refer to."""
    found = dict(definitions)
    waiting = [*references([root, found])]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _changed(definitions[name.removeprefix(CHANGED)])
            waiting += references(found[name])
    return found


def _changed(node: Any) -> Any:
    """The schema of a partial declaration: nothing is required, but lists are replaced as a whole."""
    if isinstance(node, list):
        return [_changed(item) for item in node]
    if not isinstance(node, dict):
        return node
    changed = {}
    for key, value in node.items():
        match key:
            case "required":
                continue
            case "$ref":
                changed[key] = value.replace(HOME, HOME + CHANGED)
            case "properties":
                changed[key] = {name: _changed(inner) for name, inner in value.items()}
            case "anyOf" | "allOf" | "then" | "additionalProperties":
                changed[key] = _changed(value)
            case _:
                changed[key] = value
    return changed


def references(node: Any) -> Iterator[str]:
    """The definitions that are referred to."""
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix(HOME)
        for value in node.values():
            yield from references(value)


def with_references(node: Any, names: Mapping[str, str]) -> Any:
    """The same, where definitions go by other names: those of ``names``."""
    if isinstance(node, list):
        return [with_references(item, names) for item in node]
    if not isinstance(node, dict):
        return node
    changed = {key: with_references(value, names) for key, value in node.items()}
    if isinstance(changed.get("$ref"), str):
        name = changed["$ref"].removeprefix(HOME)
        changed["$ref"] = HOME + names.get(name, name)
    return changed
