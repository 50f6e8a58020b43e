"""Values of a spec with their places in the text.

Texts, mappings and lists are their plain Python types with a `Place`; numbers, booleans and null stay plain, and
the mapping or list that holds them knows where they stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Mark


@dataclass(frozen=True)
class Place:
    """Place of a value in the text, and its path in the spec, before any ``repeat`` is expanded."""

    mark: Mark | None = None
    path: str = ""

    def under(self, key: str | int, mark: Mark | None) -> Place:
        step = f"[{key}]" if isinstance(key, int) else f".{key}" if self.path else str(key)
        return Place(mark or self.mark, self.path + step)


NOWHERE = Place()


class Text(str):
    """A text with its place."""

    place: Place = NOWHERE

    def at(self, place: Place) -> Text:
        self.place = place
        return self


class Entries(dict[str, Any]):
    """A mapping with its place and those of its keys and values."""

    place: Place = NOWHERE

    def __init__(self, values: Mapping[str, Any] | None = None, place: Place = NOWHERE) -> None:
        super().__init__(values or {})
        self.place = place
        self.key_marks: dict[str, Mark] = {}
        self.value_marks: dict[str, Mark] = {}

    def put(self, key: str, value: Any, key_mark: Mark | None, value_mark: Mark | None) -> None:
        self[key] = value
        for marks, mark in ((self.key_marks, key_mark), (self.value_marks, value_mark)):
            marks.pop(key, None)
            if mark is not None:
                marks[key] = mark

    def without(self, *keys: str) -> Entries:
        """A copy without some keys, with the same marks."""
        rest = Entries({key: value for key, value in self.items() if key not in keys}, self.place)
        rest.key_marks, rest.value_marks = self.key_marks, self.value_marks
        return rest


class Items(list[Any]):
    """A list with its place and those of its items."""

    place: Place = NOWHERE

    def __init__(self, values: Sequence[Any] = (), place: Place = NOWHERE) -> None:
        super().__init__(values)
        self.place = place
        self.places: list[Place] = []


def place_of(value: Any) -> Place:
    """The place of a value, if it has one."""
    return value.place if isinstance(value, Text | Entries | Items) else NOWHERE


def child_place(parent: Any, key: str | int) -> Place:
    """The place of the value under a key or an index."""
    if isinstance(parent, Items) and isinstance(key, int) and key < len(parent.places):
        return parent.places[key]
    if isinstance(parent, Mapping) and key in parent and place_of(parent[key]) is not NOWHERE:
        return place_of(parent[key])
    mark = parent.value_marks.get(str(key)) if isinstance(parent, Entries) else None
    return place_of(parent).under(key, mark)


def key_place(parent: Any, key: str) -> Place:
    """The place of a key."""
    mark = parent.key_marks.get(key) if isinstance(parent, Entries) else None
    return place_of(parent).under(key, mark)


def plain(value: Any) -> Any:
    """A node without its places."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value
