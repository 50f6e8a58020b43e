"""Pictures of the density of a model of one or two numbers: a curve over a histogram, or two maps."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import listed
from ..interfaces import Batch, Model, Samples, Scores, Unnormalised
from .axes import Span, framed, in_a_row
from .histogram import chart
from .images import counted, frame_of, heat_map

CELLS, COUNTED = 160, 80
"""Along each axis of the plane: points of the model's grid, cells in which data is counted."""
POINTS = 1000
"""Points of a curve."""
FEWEST = 1000
"""Draws that find a model's frame where there is no data."""


def density_problem(model: Model) -> str | None:
    """The reason why the density of a model cannot be drawn; None if it can."""
    if not (isinstance(model, Scores | Unnormalised) and isinstance(model, Samples)):
        return "needs a model that scores and samples"
    if model.conditions:
        return f"needs an unconditional model; this one is conditioned on its {listed(model.conditions)}"
    if model.event.levels is not None or tuple(model.event.shape) not in {(1,), (2,)}:
        return f"needs continuous data of one or two numbers, got '{model.event.name}' of shape {model.event.shape}"
    return None


@torch.no_grad()
def density_picture(model: Model, n: int, temperature: float, data: Batch | None = None) -> Tensor:
    """The density of a model as an image ``[3, H, W]`` of bytes, next to ``data`` if given.

    The frame is that of the data, else of ``n`` draws (at least 1000); an unnormalised density is normalised on it.
    ValueError where `density_problem` has one.
    """
    problem = density_problem(model)
    if problem is not None or not isinstance(model, Scores | Unnormalised) or not isinstance(model, Samples):
        raise ValueError(problem)
    seen = None if data is None else data[model.event.name]
    framing = model.sample(max(n, FEWEST), temperature=temperature) if seen is None else seen
    draw = _on_the_line if model.event.shape.size == 1 else _in_the_plane
    return draw(model, framing, seen)


def _on_the_line(model: Scores | Unnormalised, framing: Tensor, seen: Tensor | None) -> Tensor:
    (x,) = frame_of(framing)
    p = _log_density(model, _middles(x, POINTS).to(framing).unsqueeze(1), (x[1] - x[0]) / POINTS).exp()
    title = "learned density" if seen is None else "learned density (line) and data (bars)"
    return chart(x, title, curve=p, data=seen)


def _in_the_plane(model: Scores | Unnormalised, framing: Tensor, seen: Tensor | None) -> Tensor:
    x, y = frame_of(framing)
    grid = torch.cartesian_prod(_middles(x, CELLS), _middles(y, CELLS)).to(framing)
    cell = (x[1] - x[0]) * (y[1] - y[0]) / CELLS**2
    log_p = _log_density(model, grid, cell).reshape(CELLS, CELLS).nan_to_num(nan=-torch.inf)
    learned = heat_map((log_p - log_p.max()).exp().sqrt().T.flip(0))
    if seen is None:
        return framed(learned, x, y, "learned density")
    data = heat_map(counted(seen, x, y, COUNTED))
    return in_a_row(framed(data, x, y, "data"), framed(learned, x, y, "learned density"))


def _log_density(model: Scores | Unnormalised, grid: Tensor, cell: float) -> Tensor:
    """The log-density on a grid of cells of one size, in float64; an energy is normalised over the grid."""
    if isinstance(model, Scores):
        return model.log_prob(grid).double().cpu()
    log_p = -model.energy(grid).double().cpu()
    return log_p - log_p.logsumexp(0) - math.log(cell)


def _middles(span: Span, parts: int) -> Tensor:
    """The middles of equal parts of an interval."""
    low, high = span
    return low + (high - low) * (torch.arange(parts, dtype=torch.float64) + 0.5) / parts
