"""A training step of a beta-VAE on sprites: by hand, in zoo and in pythae.

The network of Burgess et al. (2018) on 64 binary images of 1x64x64, ten latents, beta 4. By default each contender has
a process of its own, with its own allocator settings and its own peak of memory; they take turns all the same.
``python -m benchmarks.vae --help`` lists the options; README.md says how to install pythae.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack

import torch

from .autoencoder import bounds
from .harness import (
    COLUMNS,
    Timings,
    cells,
    interleave,
    machine,
    markdown,
    progress,
    summarise,
    timing_options,
    timing_parser,
    verdict,
)
from .vae_recipes import (
    BATCH,
    BETA,
    BY_ITS_TRAINER,
    DEFAULTS,
    RECIPES,
    TIMED,
    check_agreement,
    held_out,
    trained,
    training_block,
)
from .workers import Worker

REFERENCE = TIMED[0]
BAR = 0.6
IMAGES = 1000


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    names = [name for name in TIMED if options.only is None or name in (*options.only, REFERENCE)]
    print(f"without compiling, all losses agree to {check_agreement():.0e} over ten steps from the same weights")
    timings, peaks = (together if options.together else apart)(names, options)
    report(timings, peaks, options)
    if options.training:
        compare_losses([name for name in names if name in RECIPES], options.training)


Measured = tuple[Timings, dict[str, str]]


def together(names: Sequence[str], options: argparse.Namespace) -> Measured:
    """All in this process, so with one and the same allocator: ``keep_freed`` has no effect."""
    torch.compiler.reset()
    blocks = {name: training_block(name, options.clock) for name in names}
    return interleave(blocks, options.rounds, options.steps), {}


def apart(names: Sequence[str], options: argparse.Namespace) -> Measured:
    """Each in a process of its own."""
    with ExitStack() as stack:
        workers = {}
        for name in names:
            keep = name in RECIPES and RECIPES[name].keep_freed
            worker = Worker(training_block, name, options.clock, threads=options.threads, keep_freed=keep)
            workers[name] = stack.enter_context(worker)
        timings = interleave(workers, options.rounds, options.steps)
        return timings, {name: worker.usage().mebibytes for name, worker in workers.items()}


def report(timings: Timings, peaks: dict[str, str], options: argparse.Namespace) -> None:
    """Print the table of the steps, and the bar."""
    counts = {name: recipe.build().parameters for name, recipe in RECIPES.items() if name in timings}
    if len(set(counts.values())) > 1:
        raise RuntimeError(f"they differ in parameters: {counts}")
    summaries = summarise(timings, REFERENCE)
    rows = [[name, *cells(summary), *([peaks[name]] if peaks else [])] for name, summary in summaries.items()]
    where = "a process each" if peaks else "one process"
    print(f"\ntraining step, batch {BATCH}, {counts[REFERENCE]:,} parameters each")
    print(f"{where}, {options.rounds} rounds of {options.steps}, {options.clock} clock\n")
    print(markdown(["", *COLUMNS, *(["peak MiB"] if peaks else [])], rows), "\n")
    if DEFAULTS in summaries and peaks and BY_ITS_TRAINER in TIMED:
        print(f"{DEFAULTS} to {REFERENCE}: {verdict(summaries[DEFAULTS], BAR)}")


def compare_losses(names: Sequence[str], steps: int) -> None:
    """Print the loss of held-out images after so many steps from the same weights on the same batches.

    The reference with other noise says what a difference means: a compiled model draws other numbers from a seed.
    """
    images, runs = held_out(IMAGES), [(name, name, 0) for name in names]
    losses = {}
    for title, name, noise in [*runs, (f"{REFERENCE}, other noise", REFERENCE, 1)]:
        progress(f"{title}: {steps} steps")
        measured = bounds(trained(name, steps, noise)[0], images, draws=1)
        losses[title] = measured.nll + BETA * measured.kl
    progress("")
    first = losses[REFERENCE]
    rows = [[title, f"{loss:.2f}", f"{100 * (loss / first - 1):+.2f}"] for title, loss in losses.items()]
    print(f"\nloss of {IMAGES} held-out images after {steps} steps, from the same weights on the same batches\n")
    print(markdown(["", "nats", "difference, %"], rows))


def parse() -> argparse.Namespace:
    parser = timing_parser("benchmarks.vae", __doc__, rounds=20, steps=5)
    parser.add_argument("--together", action="store_true", help="all in one process, without memory settings")
    parser.add_argument("--only", nargs="+", choices=TIMED, help=f"these contenders, beside {REFERENCE}")
    parser.add_argument("--training", type=int, default=500, help="steps of the trainings whose losses are compared")
    options = timing_options(parser)
    if options.quick:
        options.training = min(options.training, 10)
    return options


if __name__ == "__main__":
    main()
