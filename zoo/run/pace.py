"""Pace of training on a CPU: the CPU seconds of its steps, without the scores, draws and checkpoints between them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Pace:
    """Number of timed steps, and the CPU seconds that they took, of all threads of a process.

    Other programs on the same machine change CPU seconds little, unlike the time of a clock.

    >>> pace = Pace(10, 0.5) + Pace(30, 0.5)
    >>> pace.seconds_per_step
    0.025
    """

    steps: int = 0
    cpu_seconds: float = 0.0

    def time(self, step: Callable[[], None]) -> None:
        """Take a step, and add its time."""
        began = time.process_time()
        step()
        self.cpu_seconds += time.process_time() - began
        self.steps += 1

    def __add__(self, other: Pace) -> Pace:
        return Pace(self.steps + other.steps, self.cpu_seconds + other.cpu_seconds)

    @property
    def seconds_per_step(self) -> float | None:
        """The mean; None if no step was timed."""
        return self.cpu_seconds / self.steps if self.steps else None
