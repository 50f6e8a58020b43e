"""What it saves to draw from a MADE unit by unit: beside one whole pass for each number.

The network is that of the paper's binarised MNIST, 8000 hidden units over 784 bits. A pass for each number is measured
one pass at a time and multiplied by 784: they are all alike. Before anything is timed, both ways must give the same
bits for the same uniform numbers. The bar: what is kept draws 16 images at least 50 times as fast.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

import zoo

from .harness import Summary, interleave, machine, markdown, summarise, timed, timing_options, timing_parser

BITS = zoo.Event("image", zoo.Shape(1, 28, 28), levels=2)
BAR = 50.0


def declared(width: int, depth: int) -> Any:
    """The model with weights of some size: as it starts, all its bits are fair coins."""
    torch.manual_seed(0)
    net = {"type": "made", "width": width, "depth": depth}
    node = {"type": "autoregressive", "net": net, "head": "bernoulli", "inputs": "unit"}
    model: Any = zoo.declare(zoo.Model, node)(BITS).eval()
    torch.nn.init.normal_(model.net.last.linear.weight, std=4.0 * width**-0.5)
    return model


def disagreement(model: Any, x: Tensor, u: Tensor) -> float:
    """The share of bits that a whole pass over the draws would draw otherwise; rounding leaves a few at most."""
    return float((model.redraw(x, u) != x).double().mean())


def times(model: Any, u: Tensor, options: argparse.Namespace) -> Mapping[str, Summary]:
    """Of all images; ratios to what is kept."""
    D = BITS.shape.size
    x = model.unroll(u)
    blocks = {
        "a pass for each number": timed(lambda: model.redraw(x, u), clock=options.clock, unmeasured=1),
        "kept": timed(lambda: model.unroll(u), clock=options.clock, unmeasured=1),
    }
    seconds = interleave(blocks, options.rounds, options.steps)
    passes = [D * second for second in seconds["a pass for each number"]]
    return summarise({**seconds, "a pass for each number": passes}, "kept")


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    model = declared(options.width, options.depth)
    u = model.uniforms(options.images)
    wrong = disagreement(model, model.unroll(u), u)
    if wrong > 1e-3:
        raise SystemExit(f"the two ways disagree on {wrong:.1%} of the bits")
    found = times(model, u, options)
    print(f"\n{options.images} images of {BITS.shape.size} bits, {options.depth} x {options.width} units\n")
    rows = [
        [name, f"{s.seconds:.3f}", f"{s.ratio:.1f}", f"{s.interval[0]:.1f}-{s.interval[1]:.1f}"]
        for name, s in found.items()
    ]
    print(markdown(["", "median, s", "ratio", "95 % interval"], rows))
    low, high = found["a pass for each number"].interval
    word = "kept" if low >= BAR else "MISSED" if high < BAR else "the interval spans it"
    print(f"\nA pass for each number is {BITS.shape.size} times one that was measured. At least {BAR:.0f}: {word}")


def parse() -> argparse.Namespace:
    parser = timing_parser("benchmarks.made_sampling", __doc__, rounds=8, steps=2)
    parser.add_argument("--width", type=int, default=8000)
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--images", type=int, default=16)
    return timing_options(parser)


if __name__ == "__main__":
    main()
