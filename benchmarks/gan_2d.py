"""Draws of GANs in the plane next to the data that they were trained on, with their coverage of its modes."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

import zoo
from zoo.plot.axes import framed, in_a_row
from zoo.plot.images import counted, heat_map, write_png

FRAME = (-4.0, 4.0)
CELLS = 100
DRAWS = 10_000


def panel(points: Tensor, title: str) -> Tensor:
    """The density of points as a picture ``[3, H, W]``."""
    return framed(heat_map(counted(points, FRAME, FRAME, CELLS)), FRAME, FRAME, title)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gan_2d", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", default=["gan-2d"], help="runs, share files or specs with weights")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/gan-2d.png"), help="the picture")
    options = parser.parse_args()
    data = zoo.declare(zoo.Dataset, {"type": "toy2d", "figure": "eight_gaussians"})().split("test")
    panels = [panel(data.read(torch.arange(DRAWS))["point"], "data")]
    coverage = zoo.declare(zoo.Metric, "mode_coverage")()
    for name in options.models:
        model = zoo.load(name)
        torch.manual_seed(0)
        draws = model.sample(DRAWS)  # type: ignore[operator]
        figures = coverage.of(draws)
        shown = ", ".join(f"{key} {figure.value:.3g}" for key, figure in figures.items())
        print(f"{name}: {shown}")
        panels.append(panel(draws, f"draws: {figures['inside'].value:.1%} within 4 sd"))
    write_png(in_a_row(*panels), options.output)


if __name__ == "__main__":
    main()
