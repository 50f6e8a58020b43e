"""What checkpoints cost the training loop: blocks of steps with one checkpoint in their midst, and without.

The loop stops for as long as copying the state takes; hashing, writing and syncing go on beside it, and take their
share of the cores. A block ends when its checkpoint is on the disk.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import zoo
from zoo.engine.distributed import Alone
from zoo.engine.runtime import Choices
from zoo.progress import Silent
from zoo.run.checkpoint_writers import Writing
from zoo.spec.spec import Train
from zoo.training.trainer import Trainer

from .harness import Block, interleave, machine, markdown, summarise, timed

BAR = 0.05
WIDE: dict[str, Any] = {
    "name": "wide",
    "data": {"type": "toy2d", "figure": "two_moons"},
    "model": {
        "type": "flow",
        "base": "standard_normal",
        "transforms": [
            {"type": "affine_coupling", "mask": "channel", "conditioner": {"type": "mlp", "width": 3500, "depth": 3}},
        ],
    },
    "train": {"steps": 500, "batch": 512, "optimizer": "adam", "ema": 0.99},
    "engine": {"compile": "off"},
}
"""24.5 million parameters whose steps are quick: much to write, and little time for it."""
CASES: dict[str, tuple[Any, int]] = {"realnvp-2d": ("realnvp-2d", 100), "realnvp": ("realnvp", 10), "wide": (WIDE, 8)}


def blocks_of(trainer: Trainer, stops: list[float]) -> dict[str, Block]:
    """The same steps of the same trainer, with a checkpoint and without; for how long one stops the loop."""

    def plain(steps: int) -> float:
        return timed(trainer.one_step, unmeasured=0)(steps)

    def kept(steps: int) -> float:
        keeper = Writing(trainer.directory / "checkpoints", Alone())
        middle = trainer.step + steps // 2

        def step() -> None:
            trainer.one_step()
            if trainer.step == middle:
                began = time.perf_counter()
                keeper.keep(trainer.step, trainer.state(), set())
                stops.append(time.perf_counter() - began)

        return timed(ended(step, trainer.step + steps, trainer, keeper), unmeasured=0)(steps)

    return {"without": plain, "with": kept}


def ended(step: Callable[[], None], last: int, trainer: Trainer, keeper: Writing) -> Callable[[], None]:
    """The last step waits until the checkpoint is on the disk."""

    def run() -> None:
        step()
        if trainer.step == last:
            keeper.close()

    return run


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    interval = Train.model_fields["checkpoint_every"].default
    rows = []
    for name, (spec, usual) in CASES.items():
        steps = 4 if options.quick else usual
        with tempfile.TemporaryDirectory() as folder:
            choices = Choices("cpu", "fp32", False, False)
            trainer = Trainer(zoo.load_spec(spec), Path(folder), choices, Silent(), Alone())
            stops: list[float] = []
            summaries = summarise(interleave(blocks_of(trainer, stops), options.rounds, steps), "without")
            size = sum(file.stat().st_size for file in Path(folder).glob("checkpoints/*/*")) / 2
        step, ratio, (low, high) = summaries["without"].seconds, summaries["with"].ratio, summaries["with"].interval
        costs = [(r - 1) * steps * step for r in (ratio, low, high)]
        share = [cost / (interval * step) for cost in costs]
        rows.append(
            [
                name,
                f"{size / 1e6:.1f}",
                f"{1e3 * step:.1f}",
                f"{1e3 * statistics.median(stops):.1f} ({1e3 * max(stops):.1f} at most)",
                f"{100 * statistics.median(stops) / (interval * step):.3f} %",
                f"{1e3 * costs[0]:.0f} ({1e3 * costs[1]:.0f} to {1e3 * costs[2]:.0f})",
                f"{100 * share[0]:.2f} % ({100 * share[1]:.2f} to {100 * share[2]:.2f})",
            ]
        )
    print(f"\nOne checkpoint every {interval} steps, the default; the bar is {BAR:.0%} of the time\n")
    print(
        markdown(["", "MB", "step, ms", "stops the loop, ms", "of the time", "costs in all, ms", "of the time"], rows)
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.checkpoints", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=12, help="in each, both run one block")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="two rounds of four steps: does it run?")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 2
    return options


if __name__ == "__main__":
    main()
