"""Diagram of a model's parts: boxes within boxes, made of its declaration."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ..interfaces.component import kind_of
from ..registry.part import Part, parameters
from ..registry.registry import installed
from ..settings import Settings

LONGEST = 28
"""Characters of a parameter's value that a box has room for."""
Address = Callable[[str, str], str]
"""The address of the page of a component, of its kind and its name."""


@dataclass(frozen=True)
class Box:
    """A component: its kind and name, what the spec says of it, and the parts that it takes, each in its role."""

    kind: str
    name: str
    facts: tuple[str, ...]
    slots: tuple[tuple[str, tuple[Group, ...]], ...]


@dataclass(frozen=True)
class Group:
    """Boxes in a row, several times."""

    times: int
    boxes: tuple[Box, ...] | tuple[Group, ...]


def box(part: Part[Any]) -> Box:
    """A declaration as a box, with all parts in it."""
    values, declared = parameters(part.settings), part.settings.model_fields_set
    names = {info.alias or field: field for field, info in type(part.settings).model_fields.items()}
    slots, facts = [], []
    for name, value in values.items():
        if inner := tuple(box(child) for child in _children(value)):
            slots.append((name, grouped(inner)))
        elif names[name] in declared and len(text := _shown(value)) <= LONGEST:
            facts.append(f"{name} {text}")
    return Box(installed().label(kind_of(part.cls)), part.name, tuple(facts), tuple(slots))


def grouped(boxes: Sequence[Box]) -> tuple[Group, ...]:
    """Boxes in their order, what comes several times in a row as one group.

    >>> a, b = (Box("bijection", name, (), ()) for name in "ab")
    >>> [(group.times, len(group.boxes)) for group in grouped([a, b, a, b, b])]
    [(2, 2), (1, 1)]
    """
    found, start = [], 0
    while start < len(boxes):
        lengths = range(1, (len(boxes) - start) // 2 + 1)
        length = max(lengths, key=lambda length: (_covered(boxes, start, length), -length), default=1)
        times = max(_covered(boxes, start, length) // length, 1)
        unit = tuple(boxes[start : start + length])
        inner = grouped(unit) if times > 1 and length > 1 else ()
        found.append(Group(times, inner if any(group.times > 1 for group in inner) else unit))
        start += length * times
    return tuple(found)


def diagram(data: Part[Any], model: Part[Any], address: Address) -> str:
    """HTML of a model's parts, next to the data that it is of."""
    boxes = "\n".join(_box(box(part), "", address) for part in (data, model))
    return f'<figure class="parts">\n{boxes}\n</figure>'


def _covered(boxes: Sequence[Box], start: int, length: int) -> int:
    """Number of boxes from a place on that repeat the first ones of them; 0 if those do not come twice."""
    end = start + length
    while tuple(boxes[end : end + length]) == tuple(boxes[start : start + length]):
        end += length
    return end - start if end > start + length else 0


def _children(value: Any) -> Iterator[Part[Any]]:
    """The parts declared in a value, without those within them."""
    match value:
        case Part():
            yield value
        case Settings():
            for name in type(value).model_fields:
                yield from _children(getattr(value, name))
        case list() | tuple():
            for item in value:
                yield from _children(item)
        case dict():
            yield from _children(list(value.values()))


def _shown(value: Any) -> str:
    """A value as a spec writes it."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case float():
            return f"{value:g}"
        case list() | tuple():
            return f"[{', '.join(map(_shown, value))}]"
    return str(value)


def _box(one: Box, role: str, address: Address) -> str:
    hue = zlib.crc32(one.kind.encode()) % 360
    kind = one.kind if role in ("", one.kind) else f"{role}: {one.kind}"
    head = f'<small>{escape(kind)}</small> <a href="{escape(address(one.kind, one.name))}">{escape(one.name)}</a>'
    facts = "".join(f" <span>{escape(fact)}</span>" for fact in one.facts)
    slots = "".join(_slot(name, groups, address) for name, groups in one.slots)
    inside = f'<div class="slots">{slots}</div>' if slots else ""
    return f'<div class="box" style="--hue: {hue}"><div class="head">{head}{facts}</div>{inside}</div>'


def _slot(role: str, groups: tuple[Group, ...], address: Address) -> str:
    """The parts of one role: one box with the role in its head, or a row of them below the role."""
    match groups:
        case (Group(times=1, boxes=(Box() as single,)),):
            return _box(single, role, address)
    row = "".join(_group(group, address) for group in groups)
    return f'<div class="slot"><small>{escape(role)}</small><div class="row">{row}</div></div>'


def _group(group: Group, address: Address) -> str:
    inner = "".join(_box(one, "", address) if isinstance(one, Box) else _group(one, address) for one in group.boxes)
    if group.times == 1:
        return inner
    return f'<div class="repeat"><b>{group.times} &times;</b><div class="row">{inner}</div></div>'
