"""Merging of specs by ``extends`` and ``--set``: mappings merge, lists are replaced, another ``type`` resets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import Mark, Problem, Source, SpecError
from .nodes import Entries, Items, Place, place_of
from .yaml import read_within

Say = Callable[[str], None]
Marks = tuple[Mark | None, Mark | None]
"""Of a key, and of its value."""
SHORT = {"evaluate": ("metrics", "batch")}
"""Keys of a spec under which a list is short for a mapping with these keys, the list under the first of them."""


def merge(base: Any, over: Any, say: Say, path: str = "") -> Any:
    """``over`` merged into ``base``; ``say`` is called for each node whose parameters are reset."""
    if path in SHORT and {type(base), type(over)} == {Entries, Items}:
        base, over = _in_full(base, path), _in_full(over, path)
    if not (isinstance(base, Entries) and isinstance(over, Entries)):
        if isinstance(base, Entries) and isinstance(over, str) and _type_of(base) not in (None, str(over)):
            _announce(say, path, base, over)
        return base if _only_names(base, over) else over
    if _type_of(over) is not None and _type_of(base) not in (None, _type_of(over)):
        _announce(say, path, base, _type_of(over))
        return over
    merged = Entries(base, base.place)
    merged.key_marks, merged.value_marks = dict(base.key_marks), dict(base.value_marks)
    for key, value in over.items():
        below = f"{path}.{key}" if path else key
        # A bare name and a mapping declare the same kind of thing: ``adam`` is ``{type: adam}``.
        old = base.get(key)
        if isinstance(value, Entries) and isinstance(old, str) and not isinstance(old, Entries):
            old = _named(old)
        kept = merge(old, value, say, below) if key in base else value
        merged.put(key, kept, over.key_marks.get(key), over.value_marks.get(key))
    return merged


def assign(root: Entries, assignment: str, say: Say, origin: str = "--set") -> Entries:
    """``KEY.PATH=VALUE`` laid upon a spec; numbers in the path, bare or in brackets, count list items from zero.

    An item that is a component of its own name in the list goes by that name too: ``evaluate.nll.draws=4``.
    """
    path, equals, text = assignment.partition("=")
    source = Source(origin, assignment)
    mark = Mark(source, 1, 1)
    # Messages print paths with brackets: both forms are taken.
    keys = [key.strip() for key in path.replace("[", ".").replace("]", "").split(".")]
    if not equals or not all(keys):
        raise SpecError(Problem(mark, "", "expected KEY.PATH=VALUE"))
    place = Place(Mark(source, 1, len(path) + 2))
    for key in keys:
        place = place.under(int(key) if key.isdecimal() else key, None)
    # The blanks keep the columns of the value those of the assignment.
    value = read_within(source, " " * (len(path) + 1) + text, place)
    return put(root, keys, value, (mark, place.mark), say)


def put(root: Entries, keys: list[str], value: Any, marks: Marks, say: Say) -> Entries:
    """Lay a value upon a spec at a path; ``marks`` say where the path and the value were written."""
    result: Entries = _put(root, keys, value, marks, say, "")
    return result


def _put(node: Any, keys: list[str], value: Any, marks: Marks, say: Say, path: str) -> Any:
    if not keys:
        return merge(node, value, say, path)
    if path in SHORT:
        node, keys = _opened(node, keys, path)
    (key, *rest), mark = keys, marks[0]
    below = f"{path}.{key}" if path else key
    if isinstance(node, Items):
        at = _index(node, key, mark, path)
        items = Items(node, node.place)
        items.places = list(node.places)
        items[at] = _put(node[at], rest, value, marks, say, below)
        return items
    if isinstance(node, str):
        node = _named(node)
    if node is None:
        node = Entries(place=Place(mark, path))
    if not isinstance(node, Entries):
        raise SpecError(Problem(mark, path, f"has no '{key}': it is a plain value"))
    if key == "type" and not rest and isinstance(value, str) and _type_of(node) not in (None, str(value)):
        _announce(say, path, node, value)
        return _named(value, path)
    entries = Entries(node, node.place)
    entries.key_marks, entries.value_marks = dict(node.key_marks), dict(node.value_marks)
    kept = _put(node.get(key), rest, value, marks, say, below)
    own = entries.value_marks.get(key) if rest and key in node else marks[1]
    entries.put(key, kept, entries.key_marks.get(key, mark) if rest else mark, own)
    return entries


def _in_full(node: Any, path: str) -> Any:
    """The mapping that a list is short for."""
    if not isinstance(node, Items):
        return node
    entries = Entries(place=node.place)
    entries.put(SHORT[path][0], node, node.place.mark, node.place.mark)
    return entries


def _opened(node: Any, keys: list[str], path: str) -> tuple[Any, list[str]]:
    """A node and the path into it: of a mapping that a list may stand for, items are named as those of the list."""
    if keys[0] in SHORT[path]:
        return _in_full(node, path), keys
    return node, [SHORT[path][0], *keys] if isinstance(node, Entries) else keys


def _index(items: Items, key: str, mark: Mark | None, path: str) -> int:
    """The index of a list item in a path."""
    if key.isdecimal() and int(key) < len(items):
        return int(key)
    names = [_type_of(item) if isinstance(item, Entries) else item for item in items]
    if names.count(key) != 1:
        count = f"'{key}' occurs {names.count(key)} times" if key in names else f"no item '{key}'"
        raise SpecError(Problem(mark, path, f"has {len(items)} items, numbered from 0: {count}"))
    return names.index(key)


def _named(name: str, path: str | None = None) -> Entries:
    place = place_of(name)
    entries = Entries(place=place if path is None else Place(place.mark, path))
    entries.put("type", name, place_of(name).mark, place_of(name).mark)
    return entries


def _only_names(base: Any, over: Any) -> bool:
    """A bare name of the type that is there already changes nothing."""
    return isinstance(base, Entries) and isinstance(over, str) and _type_of(base) == str(over)


def _type_of(node: Entries) -> str | None:
    name = node.get("type")
    return str(name) if isinstance(name, str) else None


def _announce(say: Say, path: str, base: Entries, name: Any) -> None:
    dropped = ", ".join(f"'{key}'" for key in base if key != "type")
    if dropped:
        say(f"note: {path} is now '{name}': the parameters of '{_type_of(base)}' are dropped ({dropped})")
