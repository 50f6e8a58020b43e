"""What differs between two declarations, wherever each of them is written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from .address import is_address
from .header import read_header
from .run import is_run, model_file, spec_of
from .shipped import shipped_specs
from .spec import load_spec

ABSENT = object()
"""Stands where one of the two has nothing."""


@dataclass(frozen=True)
class Difference:
    """One place where two declarations differ, and what each of them has there."""

    path: str
    left: Any
    right: Any

    def shown(self) -> list[str]:
        """The row of a table."""
        return [self.path, *("" if value is ABSENT else json.dumps(value) for value in (self.left, self.right))]

    def to_dict(self) -> dict[str, Any]:
        """Plain values; a side that has nothing there is left out."""
        sides = {"left": self.left, "right": self.right}
        return {"path": self.path} | {side: value for side, value in sides.items() if value is not ABSENT}


def declared(target: str) -> Mapping[str, Any]:
    """The resolved spec of a spec, a run or a share file."""
    path = Path(target)
    if is_run(path):
        return spec_of(path).resolved()
    if not is_address(target) and (target in shipped_specs() or path.suffix in (".yaml", ".yml")):
        return load_spec(target).resolved()
    values: Mapping[str, Any] = read_header(model_file(target)).meta["spec"]
    return values


def differences(left: Any, right: Any, path: str = "") -> Iterator[Difference]:
    """Where two plain values differ, in the order of the first.

    Parts of different types are two things, not one that has changed; items of lists are those that fit best.

    >>> [d.to_dict() for d in differences({"a": [1, 2], "b": 3}, {"a": [1, 4, 2], "b": 5})]
    [{'path': 'a[1]', 'right': 4}, {'path': 'b', 'left': 3, 'right': 5}]
    """
    if isinstance(left, Mapping) and isinstance(right, Mapping) and left.get("type") == right.get("type"):
        for key in {**left, **right}:
            inner = f"{path}.{key}" if path else str(key)
            yield from differences(left.get(key, ABSENT), right.get(key, ABSENT), inner)
    elif _is_list(left) and _is_list(right):
        yield from _of_items(left, right, path)
    elif left is ABSENT or right is ABSENT or left != right or type(left) is not type(right):
        yield Difference(path, left, right)


def _of_items(left: Sequence[Any], right: Sequence[Any], path: str) -> Iterator[Difference]:
    texts = [[json.dumps(item, sort_keys=True) for item in items] for items in (left, right)]
    for change, i, end, j, stop in SequenceMatcher(None, *texts, autojunk=False).get_opcodes():
        if change == "equal":
            continue
        for step in range(max(end - i, stop - j)):
            ours = left[i + step] if i + step < end else ABSENT
            theirs = right[j + step] if j + step < stop else ABSENT
            place = i + step if ours is not ABSENT else j + step
            yield from differences(ours, theirs, f"{path}[{place}]")


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
