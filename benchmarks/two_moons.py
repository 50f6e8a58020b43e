"""Quality on two moons: how far the shipped flow stays above the entropy of the data, in nats.

The density that the points are drawn from is known, so the gap is an estimate of the Kullback-Leibler divergence
:math:`\\mathrm{KL}(p \\,\\|\\, q) = \\mathrm E_p[\\log p(x) - \\log q(x)]`, taken over the held-out points.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from importlib import import_module
from typing import cast

import torch

import zoo

from .harness import machine, markdown

moons = import_module("zoo.plugins.data.toy.two_moons")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.two_moons", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="how many runs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a few steps: does it run?")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    spec = zoo.load_spec("realnvp-2d")
    bound = moons.entropy(spec.data.settings.model_dump(by_alias=True)["noise"])
    print(f"\nentropy of the data: {bound.nats:.4f} +- {bound.error:.4f} nats\n")
    rows = [run(seed, options.quick) for seed in range(options.seeds)]
    print(markdown(["seed", "steps", "seconds", "held-out nll", "of the density itself", "gap", "error"], rows))


def run(seed: int, quick: bool) -> list[str]:
    """Train once and compare with the density on the same held-out points."""
    spec = zoo.load_spec("realnvp-2d", overrides=[f"train.seed={seed}"], small=quick)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        trained = zoo.train(spec, runs=folder)
        seconds = time.perf_counter() - began
        model = cast("zoo.Scores", zoo.load(trained.directory / "model.safetensors"))
    dataset = spec.data()
    test = dataset.split("test")
    x = test.read(torch.arange(len(test)))["point"]
    noise = spec.data.settings.model_dump(by_alias=True)["noise"]
    with torch.no_grad():
        ours = -model.log_prob(x).double()
    best = -torch.cat([moons.log_density(chunk, noise) for chunk in torch.split(x, 8192)])
    gap = ours - best
    error = gap.std().item() / len(gap) ** 0.5
    figures = [ours.mean().item(), best.mean().item(), gap.mean().item(), error]
    return [str(seed), str(spec.train.steps), f"{seconds:.0f}", *(f"{figure:.4f}" for figure in figures)]


if __name__ == "__main__":
    main()
