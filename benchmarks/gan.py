"""A step of a DCGAN on images of 1x28x28, both players: in a loop by hand, and in zoo's trainer.

Both train the same networks on the same images by the same optimizers; draws of the discriminator's turn are made
without a graph, and in the generator's turn the discriminator has no gradients. The trainer does all the rest too:
random streams, rows of figures, checks for NaN. It reads MNIST from ``ZOO_DATA``. ``python -m benchmarks.gan --help``
lists the options.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

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
from .trainer_overhead import trained_step

BAR = 1.02
SPEC: dict[str, Any] = {
    "name": "bench",
    "data": "mnist",
    "model": {
        "type": "gan",
        "latent": 64,
        "generator": {"type": "dcgan", "width": 32},
        "discriminator": {"type": "dcgan", "width": 32},
    },
    "train": {
        "steps": 100000,
        "batch": 64,
        "optimizer": {"type": "adam", "lr": 2.0e-4, "betas": [0.5, 0.999]},
        "log_every": 100,
        "checkpoint_every": 100000,
    },
}


def by_hand(trainer: Trainer) -> Callable[[], None]:
    """The same step, as it is written by hand."""
    model: Any = trainer.model
    G, D = model.generator.net, model.discriminator.net
    head = model.discriminator.head
    data = trainer.train_source.read(torch.arange(20_000))[model.event.name]
    batch = trainer.spec.train.batch
    optimizers = [
        torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
        for net in (model.discriminator, model.generator)
    ]
    batches = _batches(2.0 * data.float() / 255.0 - 1.0, batch)

    def logits(x: Tensor) -> Tensor:
        found: Tensor = head(D(x), None)
        return found

    def step() -> None:
        x = next(batches)
        with torch.no_grad():
            y = G(torch.randn(batch, 64)).tanh()
        (softplus(-logits(x)).mean() + softplus(logits(y)).mean()).backward()  # type: ignore[no-untyped-call]
        optimizers[0].step()
        optimizers[0].zero_grad()
        model.discriminator.requires_grad_(False)
        softplus(-logits(G(torch.randn(batch, 64)).tanh())).mean().backward()  # type: ignore[no-untyped-call]
        optimizers[1].step()
        optimizers[1].zero_grad()
        model.discriminator.requires_grad_(True)

    return step


def _batches(data: Tensor, size: int) -> Iterator[Tensor]:
    per_epoch = len(data) // size
    for i in count():
        if i % per_epoch == 0:
            order = torch.randperm(len(data))
        at = i % per_epoch * size
        yield data[order[at : at + size]]


def main() -> None:
    options = timing_options(timing_parser("benchmarks.gan", __doc__, rounds=30, steps=5))
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    with tempfile.TemporaryDirectory() as folder:
        trainers = []
        for name in ("hand", "zoo"):
            (place := Path(folder, name)).mkdir()
            trainer = Trainer(zoo.load_spec(SPEC), place, Choices("cpu", "fp32", False, False), Silent(), Alone())
            trainer.journal = trainer.open_journal()
            trainers.append(trainer)
        blocks = {
            "by hand": timed(by_hand(trainers[0]), clock=options.clock),
            "trainer": timed(trained_step(trainers[1]), clock=options.clock),
        }
        summaries = summarise(interleave(blocks, options.rounds, options.steps), "by hand")
        for trainer in trainers:
            trainer.journal.close()
    print(f"\nDCGAN on MNIST, {options.rounds} rounds of {options.steps} steps, {options.clock} clock\n")
    print(markdown(["", *COLUMNS], [[name, *cells(summary)] for name, summary in summaries.items()]))
    print(f"\ntrainer: {verdict(summaries['trainer'], BAR)}")


if __name__ == "__main__":
    main()
