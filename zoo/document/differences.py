"""Differences between two plain values: mappings, lists, texts and numbers, as in a resolved spec."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

ABSENT = object()
"""Stands for the value of a side that has none."""


@dataclass(frozen=True)
class Difference:
    """One place where two declarations differ, with the value of each at it.

    Items of lists are counted in the first, those that only the second has in the second.
    """

    path: str
    left: Any
    right: Any

    def shown(self) -> str:
        """Its path, and below it a line for each side that has something there."""
        sides = {"-": self.left, "+": self.right}
        lines = [f"{sign} {json.dumps(value)}" for sign, value in sides.items() if value is not ABSENT]
        return "\n".join([self.path, *lines])

    def both(self) -> tuple[Any, Any]:
        """The two values, None for an absent one."""
        return None if self.left is ABSENT else self.left, None if self.right is ABSENT else self.right

    def to_dict(self) -> dict[str, Any]:
        """Plain values; a side that has nothing there is left out."""
        sides = {"left": self.left, "right": self.right}
        return {"path": self.path} | {side: value for side, value in sides.items() if value is not ABSENT}


def differences(left: Any, right: Any, path: str = "") -> Iterator[Difference]:
    """The differences between two plain values, in the order of the first.

    Parts of different types are two things, not one that has changed; of lists those items are compared that fit best.

    >>> [d.to_dict() for d in differences({"a": [1, 2], "b": 3}, {"a": [1, 4, 2], "b": 5})]
    [{'path': 'a[1]', 'right': 4}, {'path': 'b', 'left': 3, 'right': 5}]
    """
    if isinstance(left, Mapping) and isinstance(right, Mapping) and left.get("type") == right.get("type"):
        for key in {**left, **right}:
            inner = f"{path}.{key}" if path else str(key)
            yield from differences(left.get(key, ABSENT), right.get(key, ABSENT), inner)
    elif _is_list(left) and _is_list(right):
        for ours, theirs, place in _matched(left, right):
            yield from differences(ours, theirs, f"{path}[{place}]")
    elif type(left) is not type(right) or left != right:
        yield Difference(path, left, right)


Pair = tuple[int | None, int | None]
"""Indices of two items that are compared; None where one of the lists has no such item."""
MAX_PAIRS, MAX_LETTERS = 250_000, 10_000_000
"""Pairs of items, and of letters of the different ones, of two lists that are compared each to each."""
MAX_EDITS = 50
"""Items that one of two longer lists has, and the other lacks, before they are compared in place."""


def _matched(left: Sequence[Any], right: Sequence[Any]) -> Iterator[tuple[Any, Any, int]]:
    """Pairs of items of two lists, in order, such that their differences are short.

    In lists that would take long to compare, equal items are paired, and what is between them is compared in place.
    """
    ours, theirs = ([json.dumps(item, sort_keys=True) for item in items] for items in (left, right))
    equal = [] if _is_quick(ours, theirs) else _equal(ours, theirs)
    i = j = 0
    for next_i, next_j in [*equal, (len(left), len(right))]:
        gap = ours[i:next_i], theirs[j:next_j]
        for one, other in _fitted(*gap) if _is_quick(*gap) else _in_place(*gap):
            ours_here = ABSENT if one is None else left[i + one]
            theirs_here = ABSENT if other is None else right[j + other]
            yield ours_here, theirs_here, j + (other or 0) if one is None else i + one
        i, j = next_i + 1, next_j + 1


def _is_quick(left: Sequence[str], right: Sequence[str]) -> bool:
    letters = sum(map(len, set(left))) * sum(map(len, set(right)))
    return len(left) * len(right) <= MAX_PAIRS and letters <= MAX_LETTERS


def _in_place(left: Sequence[str], right: Sequence[str]) -> Iterator[Pair]:
    for index in range(max(len(left), len(right))):
        yield index if index < len(left) else None, index if index < len(right) else None


def _equal(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """The places of equal items: of as many as there can be, until there are too many between them.

    References: Myers, An O(ND) difference algorithm and its variations, Algorithmica 1986.
    """
    # On each diagonal the furthest place that was reached, and the runs of equal items on the way to it.
    reached: dict[int, tuple[int, Any]] = {1: (0, None)}
    for edits in range(MAX_EDITS + 1):
        for diagonal in range(-edits, edits + 1, 2):
            below, above = (reached.get(diagonal + side, (-1, None)) for side in (1, -1))
            i, way = (
                below if diagonal == -edits or (diagonal != edits and above[0] < below[0]) else (above[0] + 1, above[1])
            )
            start = i
            while i < len(left) and i - diagonal < len(right) and left[i] == right[i - diagonal]:
                i += 1
            reached[diagonal] = i, (way, start, start - diagonal, i - start) if i > start else way
            if i >= len(left) and i - diagonal >= len(right):
                return _runs(reached[diagonal][1])
    _, way = max(reached.values(), key=lambda found: found[0])
    return _runs(way)


def _runs(way: Any) -> list[tuple[int, int]]:
    runs = []
    while way is not None:
        way, i, j, length = way
        runs.append((i, j, length))
    return [(i + k, j + k) for i, j, length in reversed(runs) for k in range(length)]


def _fitted(left: Sequence[str], right: Sequence[str]) -> Iterator[Pair]:
    """The pairs of least cost."""
    cost = cache(_cost)
    least = _least(left, right, cost)
    i = j = 0
    while i < len(left) or j < len(right):
        rest = least[i][j]
        if i < len(left) and j < len(right) and rest == least[i + 1][j + 1] + cost(left[i], right[j]):
            yield i, j
            i, j = i + 1, j + 1
        elif i < len(left) and rest == least[i + 1][j] + _cost_alone(left[i]):
            yield i, None
            i += 1
        else:
            yield None, j
            j += 1


def _least(left: Sequence[str], right: Sequence[str], cost: Callable[[str, str], int]) -> list[list[int]]:
    """The least cost of the pairs of two lists, from item i of the first and item j of the second on."""
    n, m = len(left), len(right)
    least = [[0] * (m + 1) for _ in range(n + 1)]
    for i, j in product(range(n, -1, -1), range(m, -1, -1)):
        ways = []
        if i < n and j < m:
            ways.append(least[i + 1][j + 1] + cost(left[i], right[j]))
        if i < n:
            ways.append(least[i + 1][j] + _cost_alone(left[i]))
        if j < m:
            ways.append(least[i][j + 1] + _cost_alone(right[j]))
        least[i][j] = min(ways, default=0)
    return least


def _cost(left: str, right: str) -> int:
    """Cost of a pair: the length of its differences, in letters of JSON."""
    if left == right:
        return 0
    sides = (side for found in differences(json.loads(left), json.loads(right)) for side in (found.left, found.right))
    return sum(len(json.dumps(side)) for side in sides if side is not ABSENT)


def _cost_alone(item: str) -> int:
    """Cost of an item without a pair: one more than its length, so that two items with nothing in common are paired."""
    return len(item) + 1


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
