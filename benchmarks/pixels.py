"""A training step of Gated PixelCNN and of PixelCNN++: by hand, and in zoo.

Gated PixelCNN of 28x28 binary images at 525,121 parameters, 16 of them a step; PixelCNN++ of 3x32x32 at 1.5 million, 16
a step. Each contender has a process of its own; they take turns all the same. ``python -m benchmarks.pixels --help``
lists the options.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from statistics import mean, stdev

import torch
from torch import Tensor

from .harness import (
    COLUMNS,
    Block,
    Clock,
    cells,
    interleave,
    machine,
    markdown,
    progress,
    summarise,
    timed,
    timing_options,
    timing_parser,
    verdict,
)
from .pixel_recipes import RECIPES, REFERENCE, Recipe, images, stepper
from .workers import Worker

BAR = 0.6


def main() -> None:
    parser = timing_parser("benchmarks.pixels", __doc__, rounds=12, steps=3)
    parser.add_argument("--only", nargs="+", choices=list(RECIPES), default=list(RECIPES), help="these models")
    parser.add_argument("--training", type=int, default=300, help="steps of the trainings whose losses are compared")
    parser.add_argument("--seeds", type=int, default=1, help="of those trainings")
    parser.add_argument("--contenders", nargs="+", help="who is trained; the others are compared with the first")
    options = timing_options(parser)
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    for model in options.only:
        if options.rounds:
            steps_of(model, options.rounds, options.steps, options.threads, options.clock)
        if options.training and not options.quick:
            losses_of(model, options.contenders or list(RECIPES[model]), options.training, options.seeds)


def steps_of(model: str, rounds: int, steps: int, threads: int, clock: Clock) -> None:
    """Print the table of the steps, and the bar."""
    recipes = RECIPES[model]
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(
                Worker(training_block, model, name, clock, threads=threads, keep_freed=recipe.keep_freed)
            )
            for name, recipe in recipes.items()
        }
        summaries = summarise(interleave(workers, rounds, steps), REFERENCE)
        peaks = {name: worker.usage().mebibytes for name, worker in workers.items()}
    print(f"\n{model}: training step, {rounds} rounds of {steps}, {clock} clock\n")
    rows = [[name, *cells(summary), peaks[name]] for name, summary in summaries.items()]
    print(markdown(["", *COLUMNS, "peak MiB"], rows), "\n")
    print(f"zoo, defaults to {REFERENCE}: {verdict(summaries['zoo, defaults'], BAR)}")


def training_block(model: str, name: str, clock: Clock) -> Block:
    """Blocks of training steps."""
    recipe = RECIPES[model][name]
    step = stepper(recipe)
    data = cycle(list(islice(batches(recipe), 8)))
    return timed(lambda: step(next(data)), clock=clock, unmeasured=1)


def losses_of(model: str, names: Sequence[str], steps: int, seeds: int) -> None:
    """Print the loss after so many steps, a mean over the last ten: of each seed the same weights and batches."""
    last = {name: [_loss_after(steps, name, RECIPES[model][name], seed) for seed in range(seeds)] for name in names}
    progress("")
    print(f"\n{model}: loss in nats after {steps} steps, a mean over the last ten; {seeds} seeds\n")
    rows = [
        [name, *(f"{loss:.4f}" for loss in losses), *_difference(losses, last[names[0]])]
        for name, losses in last.items()
    ]
    print(markdown(["", *(f"seed {seed}" for seed in range(seeds)), "difference, %", "deviation"], rows))


def _loss_after(steps: int, name: str, recipe: Recipe, seed: int) -> float:
    torch.compiler.reset()
    progress(f"{name}, seed {seed}: {steps} steps")
    step = stepper(recipe, seed)
    losses = [float(step(x)) for x in islice(batches(recipe, seed), steps)]
    return mean(losses[-10:])


def _difference(losses: Sequence[float], others: Sequence[float]) -> list[str]:
    """Mean and standard deviation over seeds, in percent."""
    percent = [100 * (loss / other - 1) for loss, other in zip(losses, others, strict=True)]
    return [f"{mean(percent):+.3f}", f"{stdev(percent):.3f}" if len(percent) > 1 else ""]


def batches(recipe: Recipe, seed: int = 0) -> Iterator[Tensor]:
    """Batches without end: a pure function of the seed."""
    draw = torch.Generator().manual_seed(seed)
    while True:
        yield images(recipe.event, recipe.batch, draw)


if __name__ == "__main__":
    main()
