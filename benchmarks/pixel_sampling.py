"""Drawing 16 images, and one, from Gated PixelCNN and PixelCNN++: one forward a pixel, cached, and all at once.

One forward a pixel is measured on a few pixels and extrapolated. ``python -m benchmarks.pixel_sampling --help`` lists
the options; ``--trained RUN`` draws from a run or a share file.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

import zoo
from zoo.run.directory import model_file

from .harness import machine, markdown
from .pixel_recipes import BINARY, COLOURS, GATED, PIXELCNNPP, declared

BARS: Mapping[tuple[str, int], float] = {
    ("gated", 16): 150.0,
    ("pixelcnnpp", 16): 60.0,
    ("gated", 1): 10.0,
    ("pixelcnnpp", 1): 10.0,
}
FORWARDS = 7
"""Passes that one forward a pixel is extrapolated from."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pixel_sampling", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of one image: does it run?")
    parser.add_argument("--trained", help="a run or a share file instead of weights at random")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    rows = []
    if options.quick:
        options.rounds = 1
    for name, model in models(options.trained).items():
        for n in (1,) if options.quick else (16, 1):
            rows.append([name, str(n), *measured(model, n, options.rounds, BARS.get((name, n)))])
    head = [
        "",
        "images",
        "one forward, ms",
        "a pixel each, s",
        "cached, s",
        "Jacobi, s",
        "cached wins",
        "Jacobi wins",
        "bar",
    ]
    print(markdown(head, rows))


def models(trained: str | None) -> dict[str, Any]:
    if trained:
        model: Any = zoo.load(model_file(trained))
        return {trained: model}
    return {"gated": livened(declared(GATED, BINARY)), "pixelcnnpp": livened(declared(PIXELCNNPP, COLOURS))}


@torch.no_grad()
def livened(model: Any) -> Any:
    """Weights at random where training starts from zero: what is drawn then depends on the pixels before."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        if not parameter.any():
            parameter.normal_(0.0, 0.05)
    return model.eval()


@torch.no_grad()
def measured(model: Any, n: int, rounds: int, bar: float | None) -> list[str]:
    """Seconds by each way, medians of interleaved rounds, and whether all draw the same."""
    u = model.uniforms(n)
    context = None if model.conditioned_on is None else torch.zeros(n, dtype=torch.int64)
    jacobi = zoo.declare(zoo.Sampler, "jacobi")(model)
    start: Tensor = model.unroll(u, context)
    drawn = {
        "cached": lambda: model.unroll(u, context),
        "jacobi": lambda: jacobi.draw(u, context, 1.0, None),
        "forward": lambda: model.redraw(start, u, context),
    }
    same = torch.equal(start, drawn["jacobi"]()) and torch.equal(model.redraw(start, u, context), start)
    if not same:
        differ = int((model.redraw(start, u, context) != start).sum())
        print(f"the ways differ: {differ} of {start.numel()} numbers are another when drawn again")
    times: dict[str, list[float]] = {way: [] for way in drawn}
    for _ in range(rounds):
        for way, draw in drawn.items():
            times[way].append(seconds(draw, FORWARDS if way == "forward" else 1))
    middle = {way: statistics.median(values) for way, values in times.items()}
    passes = int(model.ranks().max()) // model.head.together + 1
    naive = passes * middle["forward"]
    wins = naive / middle["cached"]
    verdict = "" if bar is None else f">= {bar:.0f}: {'kept' if wins >= bar else 'MISSED'}"
    return [
        f"{1e3 * middle['forward']:.1f}",
        f"{naive:.1f}",
        f"{middle['cached']:.3f}",
        f"{middle['jacobi']:.3f}",
        f"{wins:.0f}",
        f"{naive / middle['jacobi']:.0f}",
        verdict,
    ]


def seconds(call: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - began) / times


if __name__ == "__main__":
    main()
