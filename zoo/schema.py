"""The JSON Schema of specs over everything that is installed, for editors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .catalogue import Shelf
from .errors import a


def schema(shelves: Iterable[Shelf], of_spec: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON Schema (2020-12): one definition a component, one a kind that chooses by ``type``.

    ``of_spec`` is the schema of a spec itself, in parts, as `of_record` has it.
    """
    definitions: dict[str, Any] = dict(of_spec["records"])
    kinds: dict[str, list[str]] = {}
    for entry in sorted((entry for shelf in shelves for entry in shelf.entries), key=lambda e: (e.kind, e.name)):
        kinds.setdefault(entry.kind, []).append(entry.name)
        definitions |= {f"{entry.kind}.{entry.name}": entry.schema["definition"], **entry.schema["records"]}
    root = of_spec["definition"]
    extends = {"type": "string", "description": "A spec that this one changes."}
    wanted = sorted(_wanted([root, definitions]))
    for item in [name for name in wanted if name.startswith("item.")]:
        definitions[item] = _item(item.removeprefix("item."))
    for kind in dict.fromkeys(name.removeprefix("item.") for name in wanted):
        if "." not in kind:
            definitions[kind] = _kind(kind, kinds.get(kind, []), definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "zoo spec",
        "description": "One deep generative model, declared.",
        **{key: value for key, value in root.items() if key not in ("properties", "required")},
        "properties": {**dict.fromkeys(root["properties"], True), "extends": extends},
        # A spec that extends another holds what it changes: whether that is whole shows after merging.
        "if": {"not": {"required": ["extends"]}},
        "then": {"properties": root["properties"], "required": root["required"]},
        "$defs": definitions,
    }


def of_record(schema: dict[str, Any]) -> dict[str, Any]:
    """What pydantic says of a record: its ``definition``, and those of the ``records`` in it, to be put together."""
    records = {f"record.{name}": _rewritten(inner) for name, inner in schema.pop("$defs", {}).items()}
    return {"definition": _rewritten(schema), "records": records}


def _kind(kind: str, names: list[str], definitions: dict[str, Any]) -> dict[str, Any]:
    """``if/then`` on ``type`` rather than ``oneOf``: an editor then complains about the one component that is meant."""
    bare = [name for name in names if definitions[f"{kind}.{name}"]["required"] == ["type"]]
    branches = [
        {
            "if": {"type": "object", "properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"$ref": f"#/$defs/{kind}.{name}"},
        }
        for name in names
    ]
    mapping = {"type": "object", "properties": {"type": {"enum": names}}, "required": ["type"]}
    return {"description": f"{a(kind).capitalize()}.", "anyOf": [{"enum": bare}, mapping], "allOf": branches}


def _rewritten(node: Any) -> Any:
    """Markers of parts become references to kinds, and lists of parts admit ``repeat``."""
    if isinstance(node, list):
        return [_rewritten(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "x-zoo-kind" in node:
        return {"$ref": f"#/$defs/{node['x-zoo-kind']}"}
    if str(node.get("$ref", "")).startswith("#/$defs/"):
        return {"$ref": "#/$defs/record." + node["$ref"].removeprefix("#/$defs/")}
    rewritten = {key: _rewritten(value) for key, value in node.items() if key != "title" or not isinstance(value, str)}
    items = rewritten.get("items", {})
    if node.get("type") == "array" and isinstance(items, dict) and str(items.get("$ref", "")).startswith("#/$defs/"):
        rewritten["items"] = {"$ref": items["$ref"].replace("#/$defs/", "#/$defs/item.")}
    return rewritten


def _item(name: str) -> dict[str, Any]:
    """An item of a list: what the list is of, or a repetition of such items."""
    repetition = {
        "type": "object",
        "description": "The list 'of', this many times.",
        "properties": {
            "repeat": {"type": "integer", "minimum": 0},
            "of": {"type": "array", "items": {"$ref": f"#/$defs/item.{name}"}},
        },
        "required": ["repeat", "of"],
        "additionalProperties": False,
    }
    repeats = {"type": "object", "required": ["repeat"], "not": {"required": ["type"]}}
    return {"if": repeats, "then": repetition, "else": {"$ref": f"#/$defs/{name}"}}


def _wanted(node: Any) -> set[str]:
    """The definitions that are referred to."""
    if isinstance(node, list):
        return {kind for item in node for kind in _wanted(item)}
    if not isinstance(node, dict):
        return set()
    found = {kind for value in node.values() for kind in _wanted(value)}
    return found | ({node["$ref"].removeprefix("#/$defs/")} if "$ref" in node else set())
