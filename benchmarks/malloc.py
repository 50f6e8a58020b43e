"""Keeping freed memory: what it does to the step time, the page faults and the peak of memory.

glibc hands large freed blocks back to the kernel, which has to fault them in again, page by page, at the next step.
``engine.keep_freed_memory`` stops that. On and off run in processes of their own, in turns.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack

import torch
from torch import Tensor, nn

import zoo

from .harness import (
    COLUMNS,
    Block,
    Clock,
    cells,
    interleave,
    machine,
    markdown,
    summarise,
    timed,
    timing_options,
    timing_parser,
)
from .workers import Worker


def digits_block(clock: Clock) -> Block:
    """Training steps of the shipped RealNVP on digits."""
    spec = zoo.load_spec("realnvp")
    model = zoo.build(spec)
    batch = model.event.example(spec.train.batch, "cpu")
    now = zoo.Clock(torch.zeros((), dtype=torch.int64), spec.train.steps)
    return _training(model, lambda: model(batch, now).loss, clock)


def convolution_block(clock: Clock) -> Block:
    """Training steps of a small convolutional classifier on ``[64, 3, 32, 32]``."""
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    images, labels = torch.randn(64, 3, 32, 32), torch.arange(64) % 10
    return _training(net, lambda: nn.functional.cross_entropy(net(images), labels), clock)


WORKLOADS = {"RealNVP on digits": digits_block, "convolutions, 64x3x32x32": convolution_block}


def main() -> None:
    options = parse()
    print(machine(options.threads))
    for title, build in WORKLOADS.items():
        report(title, build, options)


def report(title: str, build: Callable[[Clock], Block], options: argparse.Namespace) -> None:
    rows = []
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(build, options.clock, threads=options.threads, keep_freed=keep))
            for name, keep in (("handed back", False), ("kept", True))
        }
        interleave(workers, 1, options.steps)
        before = {name: worker.usage().faults for name, worker in workers.items()}
        summaries = summarise(interleave(workers, options.rounds, options.steps), "handed back")
        # Beside the blocks' own steps: two that warm up, and two before the first block.
        steps = options.rounds * (options.steps + 2) + 4
        for name, worker in workers.items():
            usage = worker.usage()
            rows.append(
                [name, *cells(summaries[name]), f"{(usage.faults - before[name]) / steps:.0f}", usage.mebibytes]
            )
    print(f"\n{title}, {options.rounds} rounds of {options.steps} steps, {options.clock} clock\n")
    print(markdown(["freed memory is", *COLUMNS, "page faults a step", "peak MiB"], rows))


def _training(net: nn.Module, loss: Callable[[], Tensor], clock: Clock) -> Block:
    adam = torch.optim.Adam(net.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        loss().backward()  # type: ignore[no-untyped-call]
        adam.step()
        adam.zero_grad()

    return timed(step, clock=clock)


def parse() -> argparse.Namespace:
    return timing_options(timing_parser("benchmarks.malloc", __doc__, rounds=30, steps=5))


if __name__ == "__main__":
    main()
