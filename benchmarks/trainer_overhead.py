"""What the trainer itself costs: the shipped RealNVP on digits, in its training loop and in a bare one.

Both move the same model by the same optimizer, with the same clipping. The bare loop indexes the data and steps. The
trainer does all the rest too: random streams, the schedule, checks for NaN, the average of the weights, the means of
the terms, a row of figures every ``log_every`` steps.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

import torch

import zoo
from zoo.engine.distributed import Alone
from zoo.engine.runtime import Choices
from zoo.progress import Silent
from zoo.training.trainer import Trainer

from .harness import (
    COLUMNS,
    cells,
    interleave,
    machine,
    markdown,
    summarise,
    timed,
    timing_options,
    timing_parser,
    verdict,
)

BAR = 1.03


def trained_step(trainer: Trainer) -> Callable[[], None]:
    """A step of the trainer's loop, with its rows but without checkpoints, validation and pictures."""

    def step() -> None:
        trainer.one_step()
        trainer.progress.step(trainer.step)
        if trainer.step % trainer.spec.train.log_every == 0:
            trainer.write_row()

    return step


def bare_step(trainer: Trainer) -> Callable[[], None]:
    """The same optimization of the same model, and nothing else."""
    model, batch, clip = trainer.model, trainer.spec.train.batch, trainer.spec.train.clip
    optimizer, parameters = trainer.turns[0].optimizer, trainer.turns[0].parameters
    data = trainer.train_source.read(torch.arange(len(trainer.train_source)))[model.event.name]
    clock = zoo.Clock(torch.zeros((), dtype=torch.int64), trainer.spec.train.steps)
    per_epoch = len(data) // batch
    order = torch.randperm(len(data))
    steps = count()

    def step() -> None:
        nonlocal order
        i = next(steps) % per_epoch
        if i == 0:
            order = torch.randperm(len(data))
        x = data[order[i * batch : (i + 1) * batch]]
        model({model.event.name: x}, clock).loss.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(parameters, clip, foreach=True)
        optimizer.step()
        optimizer.zero_grad()

    return step


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    spec = zoo.load_spec("realnvp")
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(spec, Path(folder), Choices("cpu", "fp32", False, False), Silent(), Alone())
        trainer.journal = trainer.open_journal()
        blocks = {
            "bare loop": timed(bare_step(trainer), clock=options.clock),
            "trainer": timed(trained_step(trainer), clock=options.clock),
        }
        summaries = summarise(interleave(blocks, options.rounds, options.steps), "bare loop")
        trainer.journal.close()
    print(f"\nRealNVP on digits, {options.rounds} rounds of {options.steps} steps, {options.clock} clock\n")
    print(markdown(["", *COLUMNS], [[name, *cells(summary)] for name, summary in summaries.items()]))
    print(f"\ntrainer: {verdict(summaries['trainer'], BAR)}")


def parse() -> argparse.Namespace:
    return timing_options(timing_parser("benchmarks.trainer_overhead", __doc__, rounds=60, steps=5))


if __name__ == "__main__":
    main()
