"""How far a long computation has come, for whoever listens: draws, scores, statistics, files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")
Listener = Callable[[int, int], None]


@dataclass
class _Heard:
    listener: Listener
    outer: list[tuple[int, int]] = field(default_factory=list)
    """Of the loops around: which turn, of how many."""


_heard: ContextVar[_Heard | None] = ContextVar("heard", default=None)
_activity: ContextVar[str] = ContextVar("activity", default="drawing")


def advanced(done: int, of: int) -> None:
    """Say that so much of a long computation is done; nothing that is computed depends on it.

    >>> with hearing(print):
    ...     advanced(3, 28)
    3 28
    """
    heard = _heard.get()
    if heard is not None:
        for turn, turns in reversed(heard.outer):
            done, of = turn * of + done, turns * of
        heard.listener(done, of)


def counted(items: Iterable[T], of: int) -> Iterator[T]:
    """The items, so many; what is said within a turn of the loop is said of that part of the whole.

    >>> with hearing(print):
    ...     for _ in counted("ab", 2):
    ...         advanced(1, 3)
    0 2
    1 6
    1 2
    4 6
    2 2
    """
    heard = _heard.get()
    advanced(0, of)  # from now on it takes time
    for turn, item in enumerate(items):
        around = list(heard.outer) if heard is not None else []
        if heard is not None:
            heard.outer.append((turn, of))
        try:
            yield item
        finally:
            if heard is not None:
                heard.outer[:] = around
        advanced(min(turn + 1, of), of)


@contextmanager
def doing(activity: str) -> Iterator[None]:
    """Within this block what advances is called so."""
    token = _activity.set(activity)
    try:
        yield
    finally:
        _activity.reset(token)


def activity() -> str:
    """What is being done."""
    return _activity.get()


@contextmanager
def hearing(listener: Listener) -> Iterator[None]:
    """Within this block ``listener`` is told."""
    token = _heard.set(_Heard(listener))
    try:
        yield
    finally:
        _heard.reset(token)
