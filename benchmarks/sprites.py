"""Sprites drawn a second, by the size of the batch, beside dSprites' own pixels unpacked from bits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module

import torch

from .harness import Block, interleave, machine, markdown, summarise, timed, timing_options, timing_parser

sprites = import_module("zoo.plugins.data.sprites.render")
sprite_grid = import_module("zoo.plugins.data.sprites.factors")
dsprites = import_module("zoo.plugins.data.sprites.dsprites")

BATCHES = (64, 512)


def main() -> None:
    parser = timing_parser("benchmarks.sprites", __doc__, rounds=20, steps=20)
    parser.add_argument("--device", default="cpu")
    options = timing_options(parser)
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    blocks: dict[str, Block] = {}
    for batch in BATCHES:
        number = torch.randint(sprite_grid.SIZE, (batch,), device=options.device)
        bits = torch.randint(256, (batch, 512), dtype=torch.uint8, device=options.device)
        steps: dict[str, Callable[[], object]] = {"drawn": partial(drawn, number), "unpacked": partial(unpacked, bits)}
        for name, step in steps.items():
            blocks[f"{name}, {batch}"] = timed(step, clock=options.clock)
    timings = interleave(blocks, options.rounds, options.steps)
    summaries = summarise(timings, f"drawn, {BATCHES[0]}")
    rows = []
    for name, summary in summaries.items():
        batch = int(name.split(", ")[1])
        rows.append([name, f"{batch / summary.seconds:,.0f}", f"{batch / summary.fastest:,.0f}"])
    print("\n" + markdown(["images, batch", "images/s, median", "first decile"], rows))


def drawn(number: torch.Tensor) -> None:
    finished(sprites.draw(sprite_grid.factors_of(number)))


def unpacked(bits: torch.Tensor) -> None:
    finished(dsprites.unpack(bits))


def finished(images: torch.Tensor) -> None:
    """Wait for a device that works on while Python goes ahead."""
    if images.is_cuda:
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
