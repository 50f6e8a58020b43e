"""Negative log-likelihood of a density that is normalised on a grid."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from zoo import Batch, DataError, Measurement, Metric, Model, Scores, Unnormalised, component, counted

POINTS = {1: 8192, 2: 600}
"""Points of the grid along each axis, by the number of axes."""
CHUNK = 20_000
"""Points that are evaluated at once."""
LEAST = 1e-3
"""A share of the mass at the edge of the grid above which the figure is an estimate: there is more outside."""


@component("nll_grid")
class GridLikelihood(Metric):
    r"""Mean negative log-likelihood of held-out data, in nats, of a density that is normalised on a grid.

    .. math:: \mathrm{nll} = \frac1N \sum_{i=1}^N U(x_i) + \log Z, \qquad
       Z = \sum_{g} \exp(-U(g))\, \Delta

    over the middles :math:`g` of cells of size :math:`\Delta` in a box around the data. An energy is scored so, and a
    model with a likelihood, :math:`U = -\log p`, as well: both stand in one table. ``nll_grid.edge`` is the share of
    the mass in the cells at the edge of the box: above 0.001 mass is outside, and the figure an estimate. Lower is
    better.

    Raises ValueError for a model without a density, a conditional one, and for data other than one or two continuous
    numbers.

    Args:
        margin: The distance of the box from the data on each side, as a share of the range of the data.
        points: The number of cells along each axis; ``null`` for 8192 on the line and 600 in the plane.
    """

    def __init__(
        self, *, margin: NonNegativeFloat = 0.5, points: Annotated[int, Field(ge=16, le=20_000)] | None = None
    ) -> None:
        self.margin = margin
        self.points = points

    def check(self, model: Model) -> None:
        if not isinstance(model, Scores | Unnormalised):
            raise ValueError(f"the model {type(model).__name__} has no density to measure")
        if model.conditions:
            raise ValueError(
                f"needs an unconditional model; this one is conditioned on its {' and '.join(model.conditions)}"
            )
        if model.event.levels is not None or model.event.shape.size not in POINTS:
            raise ValueError(
                f"a grid is for one or two continuous numbers, got '{model.event.name}' of shape {model.event.shape}"
            )

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"nll_grid": "min"}

    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        self.check(model)
        found = [batch[model.event.name] for batch in batches]
        if not found:
            raise DataError("no examples to measure on")
        x = torch.cat(found)
        axes = [_axis(column, self.margin, self.points or POINTS[model.event.shape.size]) for column in _columns(x)]
        grid = torch.cartesian_prod(*axes).reshape(-1, *model.event.shape).to(x)
        cell = math.prod((axis[1] - axis[0]).item() for axis in axes)
        u = _energies(model, grid)
        log_z = (-u).logsumexp(0) + math.log(cell)
        edge = _edge(-u - u.neg().logsumexp(0), [len(axis) for axis in axes])
        nll = _energies(model, x) + log_z
        kind = "exact" if edge <= LEAST else "estimate"
        return {"nll_grid": Measurement.mean_of(nll, kind), "nll_grid.edge": Measurement(edge, len(nll))}


def _columns(x: Tensor) -> Sequence[Tensor]:
    return x.flatten(1).double().cpu().unbind(1)


def _axis(x: Tensor, margin: float, points: int) -> Tensor:
    """The middles of cells over the range of data and its margin."""
    low, high = x.min().item(), x.max().item()
    wide = max(high - low, 1e-6)
    low, wide = low - margin * wide, (1.0 + 2.0 * margin) * wide
    return low + wide * (torch.arange(points, dtype=torch.float64) + 0.5) / points


@torch.no_grad()
def _energies(model: Model, x: Tensor) -> Tensor:
    """``U`` of points in float64 on the CPU, ``[N]``."""
    parts = torch.split(x, CHUNK)
    return torch.cat([_energy(model, part).double().cpu() for part in counted(parts, len(parts))])


def _energy(model: Model, x: Tensor) -> Tensor:
    if isinstance(model, Scores):
        return -model.log_prob(x)
    if isinstance(model, Unnormalised):
        return model.energy(x)
    raise TypeError(f"{type(model).__name__} has no density")


def _edge(log_p: Tensor, sizes: Sequence[int]) -> float:
    """The share of the mass in the outermost cells of a grid."""
    p = log_p.exp().reshape(*sizes)
    inner = p[tuple(slice(1, -1) for _ in sizes)]
    return max((p.sum() - inner.sum()).item(), 0.0)
