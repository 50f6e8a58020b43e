"""The JSON Schema of specs over everything that is installed, for editors."""

from __future__ import annotations

from typing import Any

from .errors import a
from .interfaces import Component
from .listing import summary
from .part import example_of, parameters_of
from .registry import Registry
from .spec import Spec


def schema(registry: Registry) -> dict[str, Any]:
    """A JSON Schema (2020-12): one definition a component, one a kind that chooses by ``type``."""
    definitions: dict[str, Any] = {}
    kinds: dict[str, list[str]] = {}
    for (kind, name), cls in registry.components().items():
        kinds.setdefault(kind, []).append(name)
        definitions[f"{kind}.{name}"] = _component(cls, name, definitions)
    root = _rewritten(_hoisted(Spec.model_json_schema(by_alias=True), definitions))
    properties = {**root["properties"], "extends": {"type": "string", "description": "A spec that this one changes."}}
    for kind in _wanted([root, definitions]):
        definitions[kind] = _kind(kind, kinds.get(kind, []), definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "zoo spec",
        "description": "One deep generative model, declared.",
        **root,
        "properties": properties,
        # A spec that extends another need not repeat what that one declares.
        "required": ["name"],
        "if": {"not": {"required": ["extends"]}},
        "then": {"required": root["required"]},
        "$defs": definitions,
    }


def _component(cls: type[Component], name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    own = _rewritten(_hoisted(parameters_of(cls).model_json_schema(by_alias=True), definitions))
    return {
        "type": "object",
        "description": summary(cls),
        "properties": {"type": {"const": name}, **own.get("properties", {})},
        "required": ["type", *own.get("required", [])],
        "additionalProperties": False,
        "examples": [{"type": name, **example_of(cls)}],
    }


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


def _hoisted(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Definitions of nested records, moved to the one place for all."""
    for name, definition in schema.pop("$defs", {}).items():
        definitions[f"record.{name}"] = _rewritten(definition)
    return schema


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
        rewritten["items"] = {
            "if": {"type": "object", "required": ["repeat"]},
            "then": _repeat(rewritten),
            "else": items,
        }
    return rewritten


def _repeat(array: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": "The list 'of', this many times.",
        "properties": {
            "repeat": {"type": "integer", "minimum": 0},
            "of": {"type": "array", "items": array["items"]},
        },
        "required": ["repeat", "of"],
        "additionalProperties": False,
    }


def _wanted(node: Any) -> set[str]:
    """The kinds that are referred to."""
    if isinstance(node, list):
        return {kind for item in node for kind in _wanted(item)}
    if not isinstance(node, dict):
        return set()
    found = {kind for value in node.values() for kind in _wanted(value)}
    name = str(node.get("$ref", "")).removeprefix("#/$defs/")
    return found | ({name} if name and "." not in name else set())
