"""RealNVP density estimation, a training step and a draw: by hand, in zoo and in other libraries.

Eight affine couplings on halves, conditioners with two hidden layers of 128, batches of 512, Adam at 1e-3.
``python -m benchmarks.density --help`` lists the options; README.md says how to install the other libraries.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch

from .harness import (
    COLUMNS,
    Block,
    Clock,
    Summary,
    cells,
    interleave,
    machine,
    markdown,
    summarise,
    timing_options,
    timing_parser,
    verdict,
)
from .realnvp import BATCH, RECIPES, check_agreement, sampling_block, training_block
from .workers import Worker

REFERENCE = "plain"


@dataclass(frozen=True)
class Task:
    """What is measured, of whom, and which ratios to the reference are asked for."""

    title: str
    block: Callable[[str, int, Clock], Block]
    contenders: Sequence[str]
    bars: Mapping[str, float]


TRAINING = Task("training step", training_block, list(RECIPES), {"zoo, eager": 1.05, "zoo, defaults": 0.80})
SAMPLING = Task(
    f"sampling {BATCH}", sampling_block, [n for n, r in RECIPES.items() if not r.training.compiled], {"zoo, eager": 1.0}
)


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    for dim in options.dim:
        difference = check_agreement(dim)
        print(f"\nD = {dim}: plain and zoo agree to {difference:.0e} over ten steps from the same weights")
        for task in (TRAINING, SAMPLING):
            report(task, dim, options)


def report(task: Task, dim: int, options: argparse.Namespace) -> None:
    """Measure one task and print its table and its bars."""
    names = [name for name in task.contenders if options.only is None or name in (*options.only, REFERENCE)]
    measure = apart if options.apart else together
    summaries, peaks = measure(task, names, dim, options)
    rows = [
        [name, f"{RECIPES[name].build(dim).parameters:,}", *cells(summary), *peaks.get(name, [])]
        for name, summary in summaries.items()
    ]
    where = "a process each" if options.apart else "one process"
    print(f"\n{task.title}, D = {dim}, {where}, {options.rounds} rounds of {options.steps}, {options.clock} clock\n")
    print(markdown(["", "parameters", *COLUMNS, *(["peak MiB"] if peaks else [])], rows), "\n")
    for name, bar in task.bars.items():
        if name in summaries and (options.apart or not RECIPES[name].keep_freed):
            print(f"{name}: {verdict(summaries[name], bar)}")


Measured = tuple[dict[str, Summary], dict[str, list[str]]]


def together(task: Task, names: Sequence[str], dim: int, options: argparse.Namespace) -> Measured:
    """All in this process, so with one and the same allocator: ``keep_freed`` has no effect."""
    torch.compiler.reset()
    blocks = {name: task.block(name, dim, options.clock) for name in names}
    return summarise(interleave(blocks, options.rounds, options.steps), REFERENCE), {}


def apart(task: Task, names: Sequence[str], dim: int, options: argparse.Namespace) -> Measured:
    """Each in a process of its own, with its own allocator settings and its own peak of memory."""
    with ExitStack() as stack:
        workers = {}
        for name in names:
            keep = RECIPES[name].keep_freed
            worker = Worker(task.block, name, dim, options.clock, threads=options.threads, keep_freed=keep)
            workers[name] = stack.enter_context(worker)
        timings = interleave(workers, options.rounds, options.steps)
        peaks = {name: [worker.usage().mebibytes] for name, worker in workers.items()}
    return summarise(timings, REFERENCE), peaks


def parse() -> argparse.Namespace:
    parser = timing_parser("benchmarks.density", __doc__, rounds=40, steps=10)
    parser.add_argument("--dim", type=int, nargs="+", default=[64, 2], help="sizes of a point; even")
    parser.add_argument("--apart", action="store_true", help="each contender in a process of its own")
    parser.add_argument("--only", nargs="+", choices=list(RECIPES), help="these contenders, beside plain")
    return timing_options(parser)


if __name__ == "__main__":
    main()
