"""Laws of every component, whatever its kind: its docstring, its schema, and its declaration."""

from __future__ import annotations

import inspect
import json
from typing import Any

from ...catalogue.docstrings import arguments
from ...errors import nearest
from ...registry.part import Part, parameters_of, part_of
from ...registry.registry import installed
from ..errors import require


def says_what_it_is(part: Part[Any]) -> None:
    """The class has a docstring with a summary line for ``zoo list``; an ``Args:`` list names parameters that exist."""
    text = part.cls.__dict__.get("__doc__") or ""
    first = inspect.cleandoc(text).split("\n\n")[0]
    called = part.cls.__qualname__
    require(bool(first), f"{called} has no docstring: its first line is what zoo list shows")
    require(first.rstrip().endswith((".", ":")), f"the docstring of {called} must begin with a sentence, got '{first}'")
    taken = inspect.signature(part.cls.__init__).parameters
    for name, _ in arguments(inspect.cleandoc(text)):
        hint = nearest(name, taken)
        require(name in taken, f"the docstring of {called} describes '{name}', which is not a parameter{hint}")


def declaration_survives(part: Part[Any]) -> None:
    """Written with every default, as JSON, and read again, the declaration is the same: share files depend on it."""
    written = json.dumps(part.resolved())
    values = {key: value for key, value in json.loads(written).items() if key != "type"}
    again = json.dumps(part_of(installed(), part.cls, part.name, values).resolved())
    require(again == written, f"{written} is read back as {again}: validators must accept their own output")


def has_a_schema(part: Part[Any]) -> None:
    """Its parameters have a JSON Schema, from which editors know them."""
    try:
        json.dumps(parameters_of(part.cls).model_json_schema(by_alias=True))
    except Exception as error:
        require(
            False, f"its parameters have no JSON Schema ({error}): define one for their types, or use simpler types"
        )
