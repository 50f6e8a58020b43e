"""Progress on standard error: a live bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..progress import Progress, activity, listening

if TYPE_CHECKING:
    from rich.console import Console

SECONDS_BETWEEN_LINES = 10.0
SECONDS_REMEMBERED = 30.0
"""What is longer ago than this counts little for the pace."""
LONGEST_NAME, SHORTEST_BAR = 24, 10
SECONDS_BETWEEN_DRAWS = 0.2
HEADLINE = ("bits_per_dim", "nll", "loss")


def listener() -> Progress:
    """The progress display that suits standard error."""
    return Bar() if sys.stderr.isatty() else Lines()


class Pace:
    """Steps per second, as an exponential moving average."""

    def __init__(self, step: float) -> None:
        self.rate: float | None = None
        self._step, self._time = step, time.monotonic()

    def reached(self, step: float) -> None:
        """So many steps are done by now."""
        now = time.monotonic()
        if step <= self._step or now <= self._time:
            return
        seconds = now - self._time
        late = (step - self._step) / seconds
        weight = 1.0 if self.rate is None else 1 - math.exp(-seconds / SECONDS_REMEMBERED)
        self.rate = late if self.rate is None else self.rate + weight * (late - self.rate)
        self._step, self._time = step, now

    def left(self, until: float) -> str:
        """The time left at this pace."""
        return f"{duration((until - self._step) / self.rate) if self.rate else '?'} left"

    def __str__(self) -> str:
        return f"{self.rate:.1f} steps/s" if self.rate else ""


class Meter:
    """Progress of an activity, on one line of a terminal, or as occasional lines."""

    def __init__(self, live: bool) -> None:
        self._live, self._said, self._shown = live, time.monotonic(), 0
        self._activity, self._done, self._pace = "", 0.0, Pace(0.0)

    def __call__(self, done: int, of: int) -> None:
        now = time.monotonic()
        if self._activity != activity() or done / of < self._done:
            self._activity, self._pace = activity(), Pace(0.0)
            if not self._live:  # a line stays: what has just begun is worth one only once it takes long
                self._said = now
        self._done = done / of
        self._pace.reached(self._done)
        if now - self._said > (SECONDS_BETWEEN_DRAWS if self._live else SECONDS_BETWEEN_LINES):
            self._said = now
            self._say(f"{self._activity}: {100 * done // of} %  {self._pace.left(1.0)}")
        if done >= of:
            self.clear()

    def clear(self) -> None:
        """Leave no trace on a terminal."""
        if self._shown:
            self._write(f"\r{'':{self._shown}}\r")
            self._shown = 0

    def _say(self, line: str) -> None:
        if self._live:
            line = line[: shutil.get_terminal_size().columns - 1]
            self._write(f"\r{line:{self._shown}}")
            self._shown = len(line)
        else:
            self._write(f"{line}\n")

    def _write(self, text: str) -> None:
        with suppress(OSError):  # nobody may be there any more to read it
            print(text, end="", file=sys.stderr, flush=True)


class Lines(Progress):
    """One line for each validation, and for a training row now and then."""

    def __init__(self) -> None:
        self._meter = Meter(live=False)

    def start(self, name: str, directory: Path, step: int, until: int, on: str) -> None:
        self._until, self._pace = until, Pace(step)
        self._last_line = 0.0
        say(f"training {name}: {on}, in {directory}")

    def step(self, step: int) -> None:
        self._pace.reached(step)

    def row(self, row: Mapping[str, Any]) -> None:
        now = time.monotonic()
        last = row["step"] >= self._until
        if row["split"] == "train" and not last and now - self._last_line < SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        pace = f"{self._pace}  {self._pace.left(self._until)}"
        say(f"step {row['step']}/{self._until}  {row['split']}  {headline(row)}  {pace}")

    def advanced(self, done: int, of: int) -> None:
        self._meter(done, of)

    def note(self, message: str) -> None:
        say(message)

    def done(self) -> None: ...


class Bar(Progress):
    """Live progress bar with loss, rate and time left; in a narrow terminal figures are left out first."""

    def __init__(self, console: Console | None = None) -> None:
        self._console, self._meter, self._runs = console, Meter(live=True), False

    def start(self, name: str, directory: Path, step: int, until: int, on: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as RichProgress

        # rich honours NO_COLOR by itself.
        console = self._console = self._console or Console(stderr=True)
        fields = [TextColumn(f"{{task.fields[{field}]}}") for field in ("rate", "left", "figures")]
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn(), *fields)
        console.print(f"training {name}: {on}, in {directory}", highlight=False, soft_wrap=True)
        self._bar = RichProgress(*columns, console=console, refresh_per_second=2, transient=False)
        self._name = name
        self._task = self._bar.add_task("", total=until, completed=step, rate="", left="", figures="")
        self._until, self._pace, self._shown = until, Pace(step), 0.0
        self._rows: dict[str, str] = {}
        self._bar.start()
        self._runs = True

    def step(self, step: int) -> None:
        now = time.monotonic()
        if now - self._shown > 0.5:
            self._shown = now
            self._pace.reached(step)
            self._show(self._name, step)

    def row(self, row: Mapping[str, Any]) -> None:
        self._rows[row["split"]] = f"{row['split']} {headline(row)}"
        self._show(self._name, row["step"])

    def advanced(self, done: int, of: int) -> None:
        if not self._runs:
            self._meter(done, of)
        elif time.monotonic() - self._shown > 0.5:
            self._shown = time.monotonic()
            self._show(f"{activity()} {100 * done // of} %")

    def _show(self, description: str, step: int | None = None) -> None:
        longest = min(LONGEST_NAME, (self._console.width if self._console else 80) // 4)
        description = description if len(description) <= longest else f"{description[: longest - 3]}..."
        rate, left = str(self._pace), self._pace.left(self._until)
        numbers = len(f"{self._until}/{self._until}")
        room = self._console.width if self._console else 80
        room -= len(description) + SHORTEST_BAR + numbers + len(rate) + len(left) + 6
        figures = fitting(list(self._rows.values()), room)
        self._bar.update(self._task, description=description, rate=rate, left=left, figures=figures, completed=step)

    def note(self, message: str) -> None:
        say(message)

    def done(self) -> None:
        self._show(self._name)
        self._bar.stop()
        self._runs = False


@contextmanager
def following() -> Iterator[None]:
    """Context manager in which long activities show their progress."""
    meter = Meter(sys.stderr.isatty())
    try:
        with listening(meter):
            yield
    finally:
        meter.clear()


def fitting(texts: Sequence[str], room: int) -> str:
    """As many of the last texts as there is room for.

    >>> fitting(["train nll 1.2", "validation nll 1.3"], 20)
    'validation nll 1.3'
    """
    lines = ("  ".join(texts[first:]) for first in range(len(texts)))
    return next((line for line in lines if len(line) <= room), "")


def columns_of(stream: TextIO) -> int | None:
    """The width of a terminal; None for other streams, whose lines are not limited."""
    return shutil.get_terminal_size().columns if stream.isatty() or "COLUMNS" in os.environ else None


def headline(row: Mapping[str, Any]) -> str:
    """The figure of a row that a person watches."""
    for name in HEADLINE:
        if row.get(name) is not None:
            return f"{name} {row[name]:.4f}"
    named = [(name, value) for name, value in row.items() if isinstance(value, float) and name.split(".")[-1] != "lr"]
    return "  ".join(f"{name} {value:.4f}" for name, value in named[:3])


def duration(seconds: float) -> str:
    """``1:05:09``, ``5:09``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def say(message: str) -> None:
    """Print a line for the user on standard error, apart from the results."""
    print(message, file=sys.stderr, flush=True)
