"""Variational inference in the plane: planar and radial flows of 2, 8 and 32 layers on the energies U1 to U4.

Each is trained without data, as the specs ``planar-energy`` and ``radial-energy`` say, and measured by its
Kullback-Leibler divergence from the density of the energy, in nats. The picture has what table 1 and figure 3 of the
paper have: Rezende and Mohamed, Variational inference with normalizing flows, 2015, arXiv:1505.05770.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

import zoo
from zoo.plot.axes import framed, in_a_row
from zoo.plot.images import write_png

from .harness import machine, markdown

ENERGIES = ("u1", "u2", "u3", "u4")
LAYERS = ("planar", "radial")
DEPTHS = (2, 8, 32)
SIDE = 160
"""Pixels of a panel."""
HALF_WIDTH = 4.0
"""What a panel shows: [-4, 4] squared, as the paper's."""


@dataclass(frozen=True)
class Task:
    """One training."""

    energy: str
    layer: str
    depth: int
    quick: bool

    def spec(self) -> zoo.Spec:
        """The shipped spec, for this energy and this many layers."""
        places = ("data.of", "model.objective.energy", "evaluate.0.energy")
        overrides = [f"{place}={self.energy}" for place in places]
        return zoo.load_spec(
            f"{self.layer}-energy", overrides=[*overrides, f"model.transforms.0.repeat={self.depth}"], small=self.quick
        )


@dataclass(frozen=True)
class Outcome:
    """What a training came to: nats, seconds of processor time, and the density on the panel's grid."""

    reverse_kl: float
    seconds: float
    panel: Tensor


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.energies", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/energies.png"), help="the picture")
    parser.add_argument("--processes", type=int, default=1, help="trainings at a time, each in one thread")
    parser.add_argument("--quick", action="store_true", help="a few steps: does it run?")
    options = parser.parse_args()
    print(machine(1), flush=True)
    tasks = [Task(e, layer, k, options.quick) for e in ENERGIES for layer in LAYERS for k in reversed(DEPTHS)]
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        outcomes = dict(zip(tasks, pool.map(train, tasks), strict=True))
    print(table(outcomes))
    print(f"\n{sum(outcome.seconds for outcome in outcomes.values()):.0f} s of processor time in all")
    write_png(picture(outcomes), options.output)


@torch.no_grad()
def density_of(model: zoo.Scores) -> Tensor:
    return model.log_prob(grid()).reshape(SIDE, SIDE)


def train(task: Task) -> Outcome:
    """Train once, with the metric that the spec names."""
    torch.set_num_threads(1)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        trained = zoo.train(task.spec(), runs=folder)
        model = cast("zoo.Scores", zoo.load(trained.directory))
    seconds = time.process_time() - began
    return Outcome(trained.metrics["reverse_kl"], seconds, panel(density_of(model)))


def table(outcomes: Mapping[Task, Outcome]) -> str:
    """Divergences in nats: a row an energy, a column a flow."""
    heads = ["nats", *(f"{layer}, K = {k}" for layer in LAYERS for k in DEPTHS)]
    found = {(task.energy, task.layer, task.depth): outcome.reverse_kl for task, outcome in outcomes.items()}
    rows = [[e.upper(), *(f"{found[e, layer, k]:.3f}" for layer in LAYERS for k in DEPTHS)] for e in ENERGIES]
    return markdown(heads, rows)


def picture(outcomes: Mapping[Task, Outcome]) -> Tensor:
    """A row for each energy: its own density, then those of the flows."""
    by_name = {(task.energy, task.layer, task.depth): outcome for task, outcome in outcomes.items()}
    rows = []
    for energy in ENERGIES:
        with torch.no_grad():
            own = -zoo.declare(zoo.Energy, energy)(zoo.Shape(2))(grid()).reshape(SIDE, SIDE)
        panels = [titled(panel(own), f"exp(-{energy.upper()})")]
        for layer in LAYERS:
            for k in DEPTHS:
                outcome = by_name[energy, layer, k]
                panels.append(titled(outcome.panel, f"{layer} {k}: {outcome.reverse_kl:.2f} nats"))
        rows.append(in_a_row(*panels))
    return torch.cat(rows, dim=1)


def grid() -> Tensor:
    """The middles of the panel's pixels, ``[SIDE * SIDE, 2]``."""
    axis = ((torch.arange(SIDE) + 0.5) / SIDE * 2.0 - 1.0) * HALF_WIDTH
    return torch.cartesian_prod(axis, axis)


def panel(log_p: Tensor) -> Tensor:
    """A density on the grid as an image: its root, the darker the likelier."""
    image = zoo.heat_map((log_p - log_p.max()).exp().sqrt().T.flip(0))
    scale = image.shape[1] // SIDE
    return image[:, ::scale, ::scale]


def titled(image: Tensor, title: str) -> Tensor:
    span = (-HALF_WIDTH, HALF_WIDTH)
    return framed(image, span, span, title)


if __name__ == "__main__":
    main()
