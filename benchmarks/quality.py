"""Held-out nats of zoo's flows and of other libraries', trained alike: parameters, batches, optimizer and steps.

Spline couplings on figures in the plane, affine couplings on digits. The bar: the mean of zoo over seeds is at most
that of the best other library plus one standard deviation of it.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context

import torch

from . import nsf, peers, realnvp
from .contender import Contender
from .harness import machine, markdown, progress
from .problems import FIGURES, problem

NSF = nsf.Size(dim=2, couplings=4, width=64)
DIGITS = 64
BATCH = 256
LEARNING_RATE = 2e-3

Build = Callable[[], Contender]
SPLINES: Mapping[str, Build] = {
    "zoo": partial(nsf.in_zoo, NSF),
    "zoo, loose limits": partial(nsf.in_zoo, NSF, **nsf.LOOSE),
} | {name: partial(build, NSF) for name, build in nsf.PEERS.items() if find_spec(name)}
AFFINE: Mapping[str, Build] = {"zoo": partial(realnvp.zoo_flow, DIGITS)} | {
    name: partial(build, DIGITS) for name, (module, build) in peers.PEERS.items() if find_spec(module)
}
PROBLEMS: Mapping[str, Mapping[str, Build]] = {**dict.fromkeys(FIGURES, SPLINES), "digits": AFFINE}


@dataclass(frozen=True)
class Task:
    """One training."""

    problem: str
    library: str
    seed: int
    steps: int


def main() -> None:
    options = parse()
    print(machine(1), flush=True)
    began = time.perf_counter()
    tasks = [
        Task(name, library, seed, options.steps)
        for name in options.figure
        for seed in range(options.seeds)
        for library in PROBLEMS[name]
    ]
    outcomes: dict[Task, float] = {}
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        for task, nats in zip(tasks, pool.map(train, tasks), strict=True):
            outcomes[task] = nats
            progress(
                f"{len(outcomes)}/{len(tasks)} trainings, the last: {task.library}, {task.problem}, {nats:.3f} nats"
            )
    progress("")
    print(f"\n{options.steps} steps of {BATCH}, {options.seeds} seeds; held-out nats, mean and standard deviation\n")
    libraries = list(dict.fromkeys(task.library for task in tasks))
    print(markdown(["", "parameters", *libraries, "verdict"], [row(n, libraries, outcomes) for n in options.figure]))
    print(f"\n{time.perf_counter() - began:.0f} s in {options.processes} processes")


def train(task: Task) -> float:
    """The held-out nats of one training; NaN where it diverged."""
    torch.set_num_threads(1)
    torch.manual_seed(task.seed)
    contender = PROBLEMS[task.problem][task.library]()
    data = problem(task.problem)
    adam = torch.optim.Adam(contender.module.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, task.steps)
    for x in data.batches(task.steps, BATCH, task.seed):
        adam.zero_grad()
        contender.loss(x).backward()  # type: ignore[no-untyped-call]
        adam.step()
        schedule.step()
    with torch.no_grad():
        return contender.loss(data.test).item() + data.offset


def row(name: str, libraries: Sequence[str], outcomes: Mapping[Task, float]) -> list[str]:
    """One problem: every library's figure, and whether zoo keeps up with the best of the others."""
    found: dict[str, list[float]] = {}
    for task, nats in outcomes.items():
        if task.problem == name:
            found.setdefault(task.library, []).append(nats)
    figures = {library: figure(nats) for library, nats in found.items()}
    cells = [figures[library].cell if library in figures else "" for library in libraries]
    counts = sorted({build().parameters for build in PROBLEMS[name].values()})
    return [name, " or ".join(f"{count:,}" for count in counts), *cells, verdict(figures)]


@dataclass(frozen=True)
class Figure:
    """Of one library over seeds: mean and standard deviation of the runs that came to an end, and how many did not."""

    mean: float
    deviation: float
    diverged: int

    @property
    def cell(self) -> str:
        lost = f", {self.diverged} diverged" if self.diverged else ""
        return f"{self.mean:.3f} ({self.deviation:.3f}){lost}"


def figure(nats: Sequence[float]) -> Figure:
    """
    >>> figure([1.0, 2.0, math.nan]).cell
    '1.500 (0.707), 1 diverged'
    """
    ended = [value for value in nats if math.isfinite(value)]
    mean = statistics.mean(ended) if ended else math.nan
    return Figure(mean, statistics.stdev(ended) if len(ended) > 1 else 0.0, len(nats) - len(ended))


def verdict(figures: Mapping[str, Figure]) -> str:
    """How far zoo's mean is from that of the best other library."""
    ours = [found for library, found in figures.items() if library.startswith("zoo")]
    others = {library: found for library, found in figures.items() if not library.startswith("zoo")}
    ended = [library for library, found in others.items() if math.isfinite(found.mean)]
    if not ended:
        return ""
    best = min(ended, key=lambda library: others[library].mean)
    gaps = [found.mean - others[best].mean for found in ours]
    kept = [gap <= others[best].deviation and not found.diverged for gap, found in zip(gaps, ours, strict=True)]
    words = [f"{gap:+.3f} {'kept' if keeps else 'MISSED'}" for gap, keeps in zip(gaps, kept, strict=True)]
    return f"{', '.join(words)} (to {best})"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--figure", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--seeds", type=int, default=3, help="how many runs of everyone")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2, help="trainings at a time, each in one thread")
    parser.add_argument("--quick", action="store_true", help="one seed of ten steps: does it run?")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.steps = 1, 10
    return options


if __name__ == "__main__":
    main()
