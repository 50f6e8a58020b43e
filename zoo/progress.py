"""Who is told how training goes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


class Progress(ABC):
    """Hears of every step and every row; nothing that is computed depends on it."""

    @abstractmethod
    def start(self, name: str, directory: Path, step: int, until: int, on: str) -> None:
        """Training goes from ``step`` to ``until``; ``on`` says what it is computed on."""

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
        """So much of what takes long beside the steps is done: of a score, a picture, a file."""

    @abstractmethod
    def done(self) -> None:
        """Training has ended, well or not; the test split may still be scored."""


class Silent(Progress):
    """Tells nobody."""

    def start(self, name: str, directory: Path, step: int, until: int, on: str) -> None: ...

    def step(self, step: int) -> None: ...

    def row(self, row: Mapping[str, Any]) -> None: ...

    def note(self, message: str) -> None: ...

    def advanced(self, done: int, of: int) -> None: ...

    def done(self) -> None: ...


class Heard(Progress):
    """Tells another, until that cannot be told any more: a terminal that hung up or a pipe that broke ends no run."""

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
