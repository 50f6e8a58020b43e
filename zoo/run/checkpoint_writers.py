"""Checkpoint writers: replicated, single writer, sharded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Set
from pathlib import Path
from typing import Any

from ..engine.distributed import Processes
from ..storage.background import Background
from . import checkpoint

State = dict[str, Any]


class Keeper(ABC):
    """Checkpoint writer in a directory. Every process must call it at the same steps."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @abstractmethod
    def keep(self, step: int, state: State, best: Set[int]) -> None:
        """Write a checkpoint; the last ones and those in ``best`` are not deleted."""

    @abstractmethod
    def load(self, step: int, state: State) -> State:
        """A checkpoint that verifies; ``state`` is the present one, of the same structure."""

    @abstractmethod
    def close(self) -> None:
        """Return when everything is on the disk."""


class Writing(Keeper):
    """Checkpoint writer of a state that every process holds: the first writes a copy of it, while training goes on."""

    def __init__(self, directory: Path, processes: Processes) -> None:
        super().__init__(directory)
        self.processes = processes
        self._background = Background()

    def keep(self, step: int, state: State, best: Set[int]) -> None:
        if not self.processes.first:
            return
        taken = checkpoint.snapshot(state)
        self._background.submit(lambda: checkpoint.write(self.directory, step, taken, best))

    def load(self, step: int, state: State) -> State:
        return checkpoint.load(self.directory, step)

    def close(self) -> None:
        self._background.close()


class Divided(Keeper):
    """A process that holds a part of the state: each writes its own, and training waits for all."""

    def __init__(self, directory: Path, processes: Processes) -> None:
        super().__init__(directory)
        self.processes = processes

    def keep(self, step: int, state: State, best: Set[int]) -> None:
        from . import sharded_checkpoint

        sharded_checkpoint.write(self.directory, step, state, best, self.processes)

    def load(self, step: int, state: State) -> State:
        from . import sharded_checkpoint

        return sharded_checkpoint.load(self.directory, step, state)

    def close(self) -> None: ...
