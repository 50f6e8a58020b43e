"""Errors of pydantic and of components as messages with their place in the spec."""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, get_args

from pydantic import ValidationError

from ..errors import Problem, listed, nearest, of_system, without_addresses
from ..settings import Settings
from .nodes import Place, child_place, key_place, place_of


def problems_in(
    error: ValidationError, node: Any, schema: type[Settings], owner: str, also: tuple[str, ...] = ()
) -> list[Problem]:
    """pydantic's complaints about a node, each with its place in the spec; ``also`` are keys that others read."""
    by_place: dict[Place, list[_Complaint]] = {}
    for entry, written in _meant(error.errors(include_url=False)[:MAX_PROBLEMS], node):
        parent, value, place = node, node, place_of(node)
        for step in written:
            parent, place = value, child_place(value, step)
            value = value[step]
        holder, known = _holder(schema, entry["loc"], owner)
        known += also if parent is node else ()
        complaint = _Complaint(entry["type"], str((entry["loc"] or ("",))[-1]), entry, parent, value, holder, known)
        by_place.setdefault(place, []).append(complaint)
    return [problem for place, complaints in by_place.items() for problem in _problems_at(place, complaints)]


def _meant(entries: Sequence[Any], node: Any) -> list[tuple[Any, Steps]]:
    """pydantic's complaints with their paths as written, without those of members of a union that were not meant.

    A mapping of which a key is wrong was meant as a mapping: that it is not a text is not reported.
    """
    found = [(entry, _written(entry["loc"], node)) for entry in entries]
    inside = {path[:depth] for _, path in found for depth in range(len(path))}
    inside |= {path for entry, path in found if not entry["type"].endswith("_type")}
    return [(entry, path) for entry, path in found if path not in inside or not entry["type"].endswith("_type")]


Steps = tuple[int | str, ...]


def _written(loc: Steps, node: Any) -> Steps:
    """A path without the names that a union adds to it: only what is written in the spec counts."""
    value, steps = node, []
    for step in loc:
        inside = isinstance(value, Mapping) and step in value
        inside = inside or (isinstance(value, list) and isinstance(step, int) and step < len(value))
        if inside:
            value = value[step]
            steps.append(step)
    return tuple(steps)


MAX_PROBLEMS = 200
"""Bound on the problems of one node that are reported: a hostile file may cause a million."""


class _Complaint(NamedTuple):
    """One error of pydantic, with its part of the spec."""

    type: str
    key: str
    entry: Any
    parent: Any
    value: Any
    owner: str
    known: list[str]


def _holder(schema: type[Settings], loc: tuple[int | str, ...], owner: str) -> tuple[str, list[str]]:
    """The record of a schema that the last step of a path is in, and its keys."""
    for step in loc[:-1]:
        held = {info.alias or name: info for name, info in schema.model_fields.items()}.get(str(step))
        inner = list(_types_in(held.annotation)) if held else []
        records = [t for t in inner if isinstance(t, type) and issubclass(t, Settings)]
        if records:
            # Of the members of a union pydantic names the one that was meant.
            schema, owner = next((t for t in records if t.__name__ in loc), records[0]), f"'{step}'"
    return owner, [info.alias or name for name, info in schema.model_fields.items()]


def _types_in(annotation: Any) -> list[Any]:
    inner = get_args(annotation)
    return [annotation, *(t for member in inner for t in _types_in(member))]


def _problems_at(place: Place, complaints: list[_Complaint]) -> list[Problem]:
    found: list[Problem] = []
    messages: list[str] = []
    missing = [one.key for one in complaints if one.type == "missing"]
    if missing:
        needed = listed([repr(key) for key in missing])
        found.append(Problem(place.mark, place.path, f"{complaints[0].owner} needs {needed}"))
    for one in complaints:
        match one.type:
            case "extra_forbidden":
                at = key_place(one.parent, one.key)
                hint = nearest(one.key, one.known, missing)
                found.append(Problem(at.mark, at.path, f"'{one.key}' is not a parameter of {one.owner}{hint}"))
            case "missing":
                continue
            case "zoo_part" if one.entry["ctx"]["problems"]:
                # The part is the member of a union that was meant: what the others say is noise.
                return list(one.entry["ctx"]["problems"])
            case "zoo_part":
                messages.append(one.entry["ctx"]["message"])
            case _:
                messages.append(said(one.entry["msg"], one.value))
    if messages:
        found.append(Problem(place.mark, place.path, "; or ".join(dict.fromkeys(messages))))
    return found


def said(message: str, value: Any) -> str:
    """pydantic's words as ours: ``should be a whole number, got 'abc'``."""
    message = message.removeprefix("Value error, ")
    for theirs, ours in _WORDS.items():
        message = re.sub(theirs, ours, message)
    return f"{message}, got {shown(value)}" if message.startswith(("should be", "should match")) else message


_WORDS = {
    r"^(Input|List|String|Tuple|Dictionary|Value) should": "should",
    r"^Unable to parse input string as an integer.*": "should be a whole number with fewer digits",
    r"^'\w+' instances are not allowed as a Sequence value": "should be a list",
    r" after validation": "",
    r"an instance of Sequence|a valid (list|tuple)": "a list",
    r"a valid dictionary( or instance of \w+)?": "a mapping",
    r"a valid integer": "a whole number",
    r"a valid number": "a number",
    r"a valid string": "a text",
    r"a valid boolean": "true or false",
}
"""What pydantic says -> what is said here."""


def shown(value: Any) -> str:
    """A value as a message quotes it."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    return repr(str(value)) if isinstance(value, str) else repr(value)


def described(error: Exception) -> str:
    """The message of a component's exception; of one that is not meant for the user only the first line, without C++
    frames.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return of_system(error)
    text = without_addresses(str(error)) or "no reason given"
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text.splitlines()[0]}"


def raised_at(error: Exception, cls: type) -> str:
    """The line of a class's own file where an exception was raised, to append to a message."""
    try:
        file = inspect.getsourcefile(cls)
    except TypeError:
        return ""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" ({file}, line {lines[-1]})" if lines else ""
