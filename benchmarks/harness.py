"""What the benchmarks share: interleaved blocks, paired statistics, tables.

A machine that does other work slows whatever runs at that moment. So contenders take turns: in each round everyone
runs one block of steps, in a shuffled order, and everyone is compared with the reference *of the same round*. The
ratio of two medians moves with the machine's load; the median of paired ratios does not.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

Block = Callable[[int], float]
"""Runs that many steps and returns the mean seconds of one."""

Timings = Mapping[str, Sequence[float]]
"""For each contender the seconds of a step, one number a round."""

Clock = Literal["wall", "cpu"]
CLOCKS: Mapping[Clock, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}

RESAMPLES = 2000


def timing_parser(module: str, about: str | None, *, rounds: int, steps: int) -> argparse.ArgumentParser:
    """What every timing asks: how often, in how many threads, by which clock. `timing_options` reads it."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=(about or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=rounds, help="in each, everyone runs one block")
    parser.add_argument("--steps", type=int, default=steps, help="of one block")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu is for one thread")
    parser.add_argument("--quick", action="store_true", help="two rounds of two steps: does it run?")
    return parser


def timing_options(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options of a timing."""
    options = parser.parse_args()
    if options.quick:
        options.rounds = options.steps = 2
    return options


def timed(step: Callable[[], object], *, clock: Clock = "wall", unmeasured: int = 2) -> Block:
    """A block of calls of ``step``; the first few refill the caches that the contender before has emptied.

    The clock ``cpu`` counts the processor time of this process. With one thread it leaves out what others do to the
    machine; with more it also counts threads that wait for each other.

    >>> timed(lambda: None)(3) >= 0
    True
    """

    now = CLOCKS[clock]

    def block(steps: int) -> float:
        for _ in range(unmeasured):
            step()
        start = now()
        for _ in range(steps):
            step()
        return (now() - start) / steps

    return block


def interleave(blocks: Mapping[str, Block], rounds: int, steps: int, seed: int = 0) -> Timings:
    """Every contender runs one block a round, in an order that is shuffled anew.

    >>> timings = interleave({"a": timed(list), "b": timed(dict)}, rounds=3, steps=2)
    >>> {name: len(seconds) for name, seconds in timings.items()}
    {'a': 3, 'b': 3}
    """
    for block in blocks.values():
        block(2)  # compiles what is compiled, allocates what is kept
    order = list(blocks)
    shuffle = random.Random(seed).shuffle
    seconds: dict[str, list[float]] = {name: [] for name in blocks}
    for round_number in range(rounds):
        shuffle(order)
        for name in order:
            seconds[name].append(blocks[name](steps))
        progress(f"round {round_number + 1}/{rounds}")
    progress("")
    return seconds


@dataclass(frozen=True)
class Summary:
    """One contender: seconds a step, and its paired ratio to the reference with a 95 % bootstrap interval.

    ``fastest`` is the first decile: what the machine can do while it does little else.
    """

    fastest: float
    seconds: float
    quartiles: tuple[float, float]
    ratio: float
    interval: tuple[float, float]


def summarise(timings: Timings, reference: str) -> dict[str, Summary]:
    """Medians over rounds of every contender, and of its ratios to the reference of the same round.

    >>> summary = summarise({"plain": [1.0, 2.0, 1.0], "other": [1.1, 2.2, 1.1]}, "plain")["other"]
    >>> round(summary.ratio, 3), round(summary.interval[1], 3)
    (1.1, 1.1)
    """
    summaries = {}
    for name, seconds in timings.items():
        ratios = [own / other for own, other in zip(seconds, timings[reference], strict=True)]
        summaries[name] = Summary(
            quantile(seconds, 0.1),
            statistics.median(seconds),
            (quantile(seconds, 0.25), quantile(seconds, 0.75)),
            statistics.median(ratios),
            bootstrap(ratios),
        )
    return summaries


def bootstrap(values: Sequence[float], *, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """The percentile interval of the median, from resampled rounds (Efron, 1979)."""
    draw = random.Random(seed)
    medians = [statistics.median(draw.choices(values, k=len(values))) for _ in range(RESAMPLES)]
    return quantile(medians, (1 - level) / 2), quantile(medians, (1 + level) / 2)


def quantile(values: Sequence[float], q: float) -> float:
    """Linear interpolation between order statistics.

    >>> quantile([3.0, 1.0, 2.0], 0.25)
    1.5
    """
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low, high = math.floor(place), math.ceil(place)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def verdict(summary: Summary, bar: float) -> str:
    """Whether a ratio keeps within a bar, or the interval spans it."""
    low, high = summary.interval
    if high <= bar:
        return f"{summary.ratio:.3f} <= {bar:.2f}: kept"
    if low > bar:
        return f"{summary.ratio:.3f} > {bar:.2f}: MISSED"
    side = "<=" if summary.ratio <= bar else ">"
    return f"{summary.ratio:.3f} {side} {bar:.2f}, but the interval {low:.3f}-{high:.3f} spans the bar"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns.

    >>> print(markdown(["a", "b"], [["1", "23"]]))
    | a | b  |
    | - | -- |
    | 1 | 23 |
    """
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


COLUMNS = ["median, ms", "quartiles", "first decile", "ratio", "95 % interval"]


def cells(summary: Summary) -> list[str]:
    """The `COLUMNS` of one contender."""
    low, high = (1e3 * q for q in summary.quartiles)
    return [
        f"{1e3 * summary.seconds:.2f}",
        f"{low:.2f}-{high:.2f}",
        f"{1e3 * summary.fastest:.2f}",
        f"{summary.ratio:.3f}",
        f"{summary.interval[0]:.3f}-{summary.interval[1]:.3f}",
    ]


def machine(threads: int) -> str:
    """What the figures were taken on, in one line."""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {threads} threads, "
        f"load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, torch {torch.__version__}"
    )


def progress(text: str) -> None:
    """One line that is overwritten on a terminal; nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
