"""A training step of Gated PixelCNN and of PixelCNN++: by hand, and in zoo.

Gated PixelCNN of 28x28 binary images at 525,121 parameters, 16 of them a step; PixelCNN++ of 3x32x32 at 1.5 million, 16
a step. Each contender has a process of its own; they take turns all the same. ``python -m benchmarks.pixels --help``
lists the options.
"""

from __future__ import annotations

from contextlib import ExitStack
from itertools import cycle, islice

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
    options = timing_options(parser)
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    for model in options.only:
        steps_of(model, options.rounds, options.steps, options.threads, options.clock)
        if options.training and not options.quick:
            losses_of(model, options.training)


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


def losses_of(model: str, steps: int) -> None:
    """Print the loss after so many steps from the same weights on the same batches, a mean over the last ten."""
    rows, first = [], 0.0
    for name, recipe in RECIPES[model].items():
        torch.compiler.reset()
        progress(f"{name}: {steps} steps")
        step = stepper(recipe)
        losses = [float(step(x)) for x in islice(batches(recipe), steps)]
        last = sum(losses[-10:]) / 10
        first = first or last
        rows.append([name, f"{losses[0]:.4f}", f"{last:.4f}", f"{100 * (last / first - 1):+.3f}"])
    progress("")
    print(f"\n{model}: loss in nats after {steps} steps, from the same weights on the same batches\n")
    print(markdown(["", "first", "last ten", "difference, %"], rows))


def batches(recipe: Recipe):  # type: ignore[no-untyped-def]
    """Batches without end: a pure function of nothing."""
    draw = torch.Generator().manual_seed(0)
    while True:
        x: Tensor = images(recipe.event, recipe.batch, draw)
        yield x


if __name__ == "__main__":
    main()
