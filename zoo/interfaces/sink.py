"""The kind of places that a run's figures are written to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .component import Component


class Sink(Component, ABC):
    """Additional destination of the rows of ``metrics.jsonl``."""

    def check(self) -> None:
        """Raise `zoo.ZooError`, with what is missing, if it cannot be opened. Called before training."""
        return

    @abstractmethod
    def open(self, directory: Path, since: int) -> None:
        """Start writing in a run's directory; rows after step ``since`` are to be forgotten."""

    @abstractmethod
    def write(self, row: Mapping[str, Any]) -> None:
        """One row: ``step``, ``split`` and figures by name."""

    @abstractmethod
    def close(self) -> None:
        """Flush."""
