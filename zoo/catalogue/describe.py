"""Descriptions of the components of an imported plugin, for the catalogue."""

from __future__ import annotations

import types
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticUndefined, to_jsonable_python

from ..interfaces import Component
from ..interfaces.component import kind_key, kind_of, registration_of
from ..registry.discovery import Found
from ..registry.part import Part, example_of, parameters_of
from ..registry.registry import installed
from ..registry.shipped import shipped_specs
from ..settings import Settings
from ..spec import Spec
from ..spec.spec import Reached
from .docstrings import about, description, first_sentence, plain, summary, text
from .entries import Entry, Parameter, Shelf
from .json_schema import either, of_record, with_former_keys

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def describe(plugin: Found) -> Shelf:
    """The shelf of a plugin, which is imported for it."""
    registry = installed()
    loaded = registry.plugin(plugin)
    entries, fault = [], loaded.error
    try:
        entries = [entry(cls, registry.name_of(cls), registry.former_names(cls)) for cls in loaded.components]
    except Exception as error:  # a docstring or an annotation may be anything
        fault = f"cannot be described: {type(error).__name__}: {error}"
    entries.sort(key=lambda entry: (entry.kind, entry.name))
    title = loaded.title or plugin.name
    return Shelf(plugin.name, plugin.module, plugin.distribution, plugin.version, title, fault, entries)


def entry(cls: type[Component], name: str, formerly: Sequence[str] = ()) -> Entry:
    """The entry of a component in the catalogue."""
    kind, schema = kind_key(kind_of(cls)), schema_of(cls, name, formerly)
    return Entry(kind, name, summary(cls), text(cls), parameters(cls), snippet(cls, name), schema, list(formerly))


def describe_spec(path: Path) -> tuple[str, str]:
    """The model's name and the description of a shipped spec."""
    model, description = _glanced_at(path)
    return model, first_sentence(description)


def reached_by(path: Path) -> list[dict[str, Any]]:
    """The figures that a shipped spec says its model has reached."""
    node = _children(yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)).get("reached")
    figures = yaml.load(yaml.serialize(node), Loader=_Loader) if node else []
    return [Reached(**figure).model_dump() for figure in figures]


def _glanced_at(path: Path) -> tuple[str, str]:
    """The model and the description of a shipped spec, or else those of the one that it extends.

    By YAML's own parser, and its nodes: ours is strict and knows the place of every value, and takes ten times as long.
    """
    top = _children(yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader))
    inherited = _glanced_at(shipped_specs()[Path(top["extends"].value).stem]) if "extends" in top else ("", "")
    model, description = top.get("model"), top.get("description")
    named = _children(model).get("type") if isinstance(model, yaml.MappingNode) else model
    return named.value if named else inherited[0], description.value if description else inherited[1]


def _children(node: Any) -> dict[str, yaml.Node]:
    return {key.value: value for key, value in node.value}


def schema_of_spec() -> dict[str, Any]:
    """The JSON Schema of a spec's own keys."""
    return of_record(Spec.model_json_schema(by_alias=True))


class _PlainDefaults(GenerateJsonSchema):
    """JSON Schema generator whose defaults are plain values: adapters of their types would be slow to build."""

    def encode_default(self, dft: Any) -> Any:
        return to_jsonable_python(dft)


def schema_of(cls: type[Component], name: str, formerly: Sequence[str] = ()) -> dict[str, Any]:
    """The part of the JSON Schema for a component, and the description of its kind."""
    written = parameters_of(cls).model_json_schema(by_alias=True, schema_generator=_PlainDefaults)
    own = of_record(written, owner=f"{kind_key(kind_of(cls))}.{name}")
    taken = own["definition"]
    descriptions = {key: about(cls, key) for key in taken.get("properties", {})}
    described = {key: {"description": found} if found else {} for key, found in descriptions.items()}
    definition = {
        "type": "object",
        "description": plain(summary(cls)),
        "properties": {"type": {**either([name, *formerly]), "description": plain(summary(cls))}}
        | {key: value | described[key] for key, value in taken.get("properties", {}).items()},
        "required": ["type", *taken.get("required", [])],
        "additionalProperties": False,
        "examples": [{"type": name, **example_of(cls)}],
    }
    registration = registration_of(cls)
    renamed = registration.renamed if registration else {}
    definition |= with_former_keys(definition, renamed) if renamed else {}
    return own | {"definition": definition, "kind": plain(summary(kind_of(cls)))}


def parameters(cls: type[Component]) -> list[Parameter]:
    """A component's parameters with their types, defaults and descriptions."""
    found = []
    for name, info in parameters_of(cls).model_fields.items():
        annotation = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
        default = "" if info.default is PydanticUndefined else shown(info.default)
        called = info.alias or name
        found.append(Parameter(called, type_text(annotation), default, description(cls, called)))
    return found


def snippet(cls: type[Component], name: str) -> str:
    """The declaration of a component in a spec."""
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
        return kind_key(inner[0])
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
    bounds = {sign: getattr(item, key, None) for key, sign in signs.items()}
    # Equal annotations share a cache, so that 0 and 0.0 take each other's place.
    found = [f"{sign} {int(x) if x == int(x) else x}" for sign, x in bounds.items() if x is not None]
    return found + [bound for nested in metadata or () for bound in _bounds(nested)]
