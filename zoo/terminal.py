"""Progress on standard error: a live bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from .hearing import hearing
from .progress import Progress

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_DRAWS = 0.2
HEADLINE = ("bits_per_dim", "nll", "loss")


def listener() -> Progress:
    """What suits where standard error goes."""
    return Bar() if sys.stderr.isatty() else Lines()


class Lines(Progress):
    """One line for each validation, and for a training row now and then."""

    def start(self, name: str, directory: Path, step: int, until: int, on: str) -> None:
        self._first, self._until = step, until
        self._began = time.monotonic()
        self._last_line = 0.0
        self._step = step
        say(f"training {name}: {on}, in {directory}")

    def step(self, step: int) -> None:
        self._step = step

    def row(self, row: Mapping[str, Any]) -> None:
        now = time.monotonic()
        last = row["step"] >= self._until
        if row["split"] == "train" and not last and now - self._last_line < SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        rate = (self._step - self._first) / max(now - self._began, 1e-9)
        left = (self._until - self._step) / rate if rate else 0.0
        pace = f"{rate:.1f} steps/s  {duration(left)} left"
        say(f"step {row['step']}/{self._until}  {row['split']}  {headline(row)}  {pace}")

    def note(self, message: str) -> None:
        say(message)

    def done(self) -> None: ...


class Bar(Progress):
    """A live bar with loss, rate and time left."""

    def start(self, name: str, directory: Path, step: int, until: int, on: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        # rich honours NO_COLOR by itself.
        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
        )
        console.print(f"training {name}: {on}, in {directory}", highlight=False, soft_wrap=True)
        self._bar = RichProgress(*columns, console=console, refresh_per_second=2, transient=False)
        self._task = self._bar.add_task(name, total=until, completed=step, rate="", figures="")
        self._first, self._began, self._shown = step, time.monotonic(), 0.0
        self._heard: dict[str, str] = {}
        self._bar.start()

    def step(self, step: int) -> None:
        now = time.monotonic()
        if now - self._shown > 0.5:
            self._shown = now
            rate = (step - self._first) / max(now - self._began, 1e-9)
            self._bar.update(self._task, completed=step, rate=f"{rate:.1f} steps/s")

    def row(self, row: Mapping[str, Any]) -> None:
        self._heard[row["split"]] = f"{row['split']} {headline(row)}"
        self._bar.update(self._task, completed=row["step"], figures="  ".join(self._heard.values()))

    def note(self, message: str) -> None:
        say(message)

    def done(self) -> None:
        self._bar.stop()


@contextmanager
def drawing() -> Iterator[None]:
    """Within this block draws that take a while say how far they are."""
    began = time.monotonic()
    said = [began]

    def heard(done: int, of: int) -> None:
        now = time.monotonic()
        if now - said[0] > (SECONDS_BETWEEN_DRAWS if live else SECONDS_BETWEEN_LINES):
            said[0] = now
            left = duration((now - began) * (of - done) / done) if done else "?"
            line = f"drawing: {100 * done // of} %  {left} left"
            print(f"\r{line:40}" if live else line, end="" if live else "\n", file=sys.stderr, flush=True)

    live = sys.stderr.isatty()
    with hearing(heard):
        yield
    if live and said[0] > began:
        print(f"\r{'':40}\r", end="", file=sys.stderr, flush=True)


def columns_of(stream: TextIO) -> int | None:
    """How wide a terminal is; None for what is none, where a line may be as long as it is."""
    return shutil.get_terminal_size().columns if stream.isatty() or "COLUMNS" in os.environ else None


def headline(row: Mapping[str, Any]) -> str:
    """The figure of a row that a person watches."""
    for name in HEADLINE:
        if row.get(name) is not None:
            return f"{name} {row[name]:.4f}"
    named = [(name, value) for name, value in row.items() if isinstance(value, float) and name != "lr"]
    return "  ".join(f"{name} {value:.4f}" for name, value in named[:3])


def duration(seconds: float) -> str:
    """``1:05:09``, ``5:09``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def say(message: str) -> None:
    """A line for the user, beside the results."""
    print(message, file=sys.stderr, flush=True)
