"""Progress: of training, and of long computations such as draws."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar


class Progress(ABC):
    """Listener to every step and every row; no computation depends on it."""

    @abstractmethod
    def start(self, name: str, directory: Path, step: int, until: int, on: str) -> None:
        """Training goes from ``step`` to ``until``; ``on`` describes the runtime."""

    @abstractmethod
    def step(self, step: int) -> None:
        """A step is done. Called every time: must cost nothing."""

    @abstractmethod
    def row(self, row: Mapping[str, Any]) -> None:
        """A row of ``metrics.jsonl``."""

    @abstractmethod
    def note(self, message: str) -> None:
        """Something that a user should know."""

    @abstractmethod
    def advanced(self, done: int, of: int) -> None:
        """A share of a long activity besides the steps is done: of a score, a picture, a file."""

    @abstractmethod
    def done(self) -> None:
        """Training has ended, well or not; the test split may still be scored."""


class Silent(Progress):
    """Listener that ignores everything."""

    def start(self, name: str, directory: Path, step: int, until: int, on: str) -> None: ...

    def step(self, step: int) -> None: ...

    def row(self, row: Mapping[str, Any]) -> None: ...

    def note(self, message: str) -> None: ...

    def advanced(self, done: int, of: int) -> None: ...

    def done(self) -> None: ...


class Guarded(Progress):
    """Listener that forwards to another until that fails: a closed terminal or a broken pipe must not end a run."""

    def __init__(self, listener: Progress) -> None:
        self._listener = listener

    def start(self, name: str, directory: Path, step: int, until: int, on: str) -> None:
        self._tell(lambda: self._listener.start(name, directory, step, until, on))

    def step(self, step: int) -> None:
        self._tell(lambda: self._listener.step(step))

    def row(self, row: Mapping[str, Any]) -> None:
        self._tell(lambda: self._listener.row(row))

    def note(self, message: str) -> None:
        self._tell(lambda: self._listener.note(message))

    def advanced(self, done: int, of: int) -> None:
        self._tell(lambda: self._listener.advanced(done, of))

    def done(self) -> None:
        self._tell(self._listener.done)

    def _tell(self, say: Callable[[], None]) -> None:
        try:
            say()
        except OSError:
            self._listener = Silent()


T = TypeVar("T")
Listener = Callable[[int, int], None]


@dataclass
class _Receiver:
    listener: Listener
    outer: list[tuple[int, int]] = field(default_factory=list)
    """Of the loops around: which turn, of how many."""


_receiver: ContextVar[_Receiver | None] = ContextVar("receiver", default=None)
_activity: ContextVar[str] = ContextVar("activity", default="drawing")


def advanced(done: int, of: int) -> None:
    """Report that so much of a long computation is done; nothing that is computed depends on it.

    >>> with listening(print):
    ...     advanced(3, 28)
    3 28
    """
    receiver = _receiver.get()
    if receiver is not None and of > 0:
        for turn, turns in reversed(receiver.outer):
            done, of = turn * of + done, turns * of
        receiver.listener(done, of)


def counted(items: Iterable[T], of: int) -> Iterator[T]:
    """The items of a long loop, reported as they are done; progress within an iteration counts as a part of the whole.

    A loop of one turn within another reports nothing of its own.

    >>> with listening(print):
    ...     for _ in counted("ab", 2):
    ...         advanced(1, 3)
    0 2
    1 6
    1 2
    4 6
    2 2
    """
    receiver = _receiver.get()
    if of == 1 and receiver is not None and receiver.outer:
        yield from items
        return
    advanced(0, of)  # from now on it takes time
    for turn, item in enumerate(items):
        around = list(receiver.outer) if receiver is not None else []
        if receiver is not None:
            receiver.outer.append((turn, of))
        try:
            yield item
        finally:
            if receiver is not None:
                receiver.outer[:] = around
        advanced(min(turn + 1, of), of)


@contextmanager
def doing(activity: str) -> Iterator[None]:
    """Context manager that names the current activity."""
    token = _activity.set(activity)
    try:
        yield
    finally:
        _activity.reset(token)


def activity() -> str:
    """The name of the current activity."""
    return _activity.get()


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Context manager in which ``listener`` receives progress."""
    token = _receiver.set(_Receiver(listener))
    try:
        yield
    finally:
        _receiver.reset(token)
