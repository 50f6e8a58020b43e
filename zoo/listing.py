"""What is installed and what is shipped, in words: for ``zoo list`` and ``zoo show``."""

from __future__ import annotations

import inspect
import re
import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic_core import PydanticUndefined

from .interfaces import Component, Model
from .interfaces.component import kind_name
from .part import Part, example_of, parameters_of
from .registry import Registry, installed
from .settings import Settings
from .spec.load import read_merged, shipped_specs


@dataclass(frozen=True)
class SpecLine:
    """A shipped spec in a listing."""

    name: str
    family: str
    description: str


@dataclass(frozen=True)
class Parameter:
    """A parameter of a component, as a spec's author sees it."""

    name: str
    type: str
    default: str


def specs() -> list[SpecLine]:
    """The shipped specs, each with the family of its model: what the plugin that brings the model calls itself."""
    registry = installed()
    lines = []
    for name, path in shipped_specs().items():
        node = read_merged(path)
        model = node.get("model")
        called = str(model.get("type") if isinstance(model, dict) else model)
        try:
            family = registry.plugin_of(registry.find(Model, called)).title
        except LookupError:
            family = "Unknown"
        lines.append(SpecLine(name, family, first_sentence(str(node.get("description") or ""))))
    return lines


def components(registry: Registry, kind: str | None = None) -> dict[str, dict[str, str]]:
    """Kind -> name -> one line."""
    found: dict[str, dict[str, str]] = {}
    for (of, name), cls in registry.components().items():
        if kind in (None, of):
            found.setdefault(of, {})[name] = summary(cls)
    return found


def summary(cls: type) -> str:
    """The first line of a class's docstring."""
    return first_sentence((inspect.getdoc(cls) or "").split("\n\n")[0])


def first_sentence(text: str) -> str:
    flat = " ".join(text.split())
    return re.split(r"(?<=[.:])\s", flat, maxsplit=1)[0].rstrip(".:") if flat else ""


def parameters(cls: type[Component]) -> list[Parameter]:
    """A component's parameters with their types and defaults."""
    found = []
    for name, info in parameters_of(cls).model_fields.items():
        annotation = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
        default = "" if info.default is PydanticUndefined else shown(info.default)
        found.append(Parameter(info.alias or name, type_text(annotation), default))
    return found


def snippet(cls: type[Component], name: str) -> str:
    """How a spec declares a component."""
    values = {"type": name, **example_of(cls)}
    return shown(values) if len(values) > 1 else name


def shown(value: Any) -> str:
    """A value as YAML writes it, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(shown, value)) + "]"
    if isinstance(value, Settings):
        return shown(value.model_dump(by_alias=True))
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def type_text(annotation: Any) -> str:
    """A type as a spec's author reads it: ``int > 0``, ``conditioner``, ``list of bijection``."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        bounds = [bound for item in inner[1:] for bound in _bounds(item)]
        return " ".join([type_text(inner[0]), ", ".join(bounds)]).strip()
    if origin is Part:
        return kind_name(inner[0])
    if origin in (Union, types.UnionType):
        return " | ".join(type_text(member) for member in inner)
    if origin is Literal:
        return " | ".join(map(str, inner))
    if origin in (list, tuple):
        return f"list of {type_text(inner[0])}"
    if annotation is type(None):
        return "null"
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return "{" + ", ".join(annotation.model_fields) + "}"
    name = str(getattr(annotation, "__name__", annotation))
    return {"str": "text", "float": "number"}.get(name, name)


def _bounds(item: Any) -> list[str]:
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    metadata = getattr(item, "metadata", None)
    found = [f"{sign} {getattr(item, key)}" for key, sign in signs.items() if getattr(item, key, None) is not None]
    return found + [bound for nested in metadata or () for bound in _bounds(nested)]
