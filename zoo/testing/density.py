"""Densities integrate to one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..interfaces.distribution import Distribution
from .broken import require

REACH = 40.0
BEYOND = 100.0
POINTS = {1: 20001, 2: 1601}


@dataclass(frozen=True)
class Grid:
    """A density on a grid over its support, or [-40, 40], for each of one or two numbers: ``axis`` ``[N]``, ``p``
    ``[N]`` or ``[N, N]`` and ``log_p`` alike."""

    axis: Tensor
    log_p: Tensor

    @property
    def p(self) -> Tensor:
        return self.log_p.exp()

    def integral(self, values: Tensor) -> float:
        """By the trapezoid rule, which is all but exact for smooth functions that vanish at the edge."""
        for _ in range(values.dim()):
            values = torch.trapezoid(values, self.axis, dim=-1)
        return float(values)

    def draw(self, n: int, seeded: torch.Generator) -> Tensor:
        """``n`` draws, ``[n, 1]`` or ``[n, 2]``: a point by its density, and a place near it."""
        chosen = torch.multinomial(self.p.flatten(), n, replacement=True, generator=seeded)
        places = torch.stack(torch.unravel_index(chosen, self.p.shape), dim=1)
        step = self.axis[1] - self.axis[0]
        near = torch.rand(places.shape, dtype=self.axis.dtype, generator=seeded) - 0.5
        return (self.axis[places] + step * near).clamp(self.axis[0], self.axis[-1])

    def cdf(self, dim: int) -> Tensor:
        """The distribution function of one number at the points of the axis."""
        p = self.p if self.p.dim() == 1 else torch.trapezoid(self.p, self.axis, dim=1 - dim)
        return torch.cat((p.new_zeros(1), torch.cumulative_trapezoid(p, self.axis)))


@torch.no_grad()
def grid_of(distribution: Distribution) -> Grid | None:
    """The density on a grid, for events of one or two numbers; None for larger ones."""
    size = distribution.shape.size
    if size not in POINTS:
        return None
    low, high = distribution.support or (-REACH, REACH)
    axis = torch.linspace(low, high, POINTS[size], dtype=torch.float64)
    x = torch.cartesian_prod(*[axis] * size).reshape(-1, *distribution.shape)
    return Grid(axis, distribution.log_prob(x).reshape([len(axis)] * size))


def density_normalises(distribution: Distribution) -> None:
    r""":math:`\int \exp \log p(x)\, dx = 1` to 1e-6, over events of one or two numbers; smooth densities with their
    mass within 40 of zero."""
    grid = grid_of(distribution)
    if grid is None:
        return
    total = grid.integral(grid.p)
    require(
        abs(total - 1.0) <= 1e-6,
        f"the density integrates to {total:.8g}, not to one: check the normalising constant of log_prob, once for "
        "each of the event's numbers",
    )


def nothing_beyond_the_support(distribution: Distribution) -> None:
    """An event with a number beyond the support has the log-density minus infinity, and the gradients of a batch with
    such an event are finite."""
    if distribution.support is None:
        return
    low, high = distribution.support
    width = high - low if math.isfinite(high - low) else 1.0
    beyond = [end for end in (low - BEYOND * width, high + BEYOND * width) if math.isfinite(end)]
    x = distribution.sample(1 + len(beyond)).detach()
    for event, end in zip(x[1:], beyond, strict=True):
        event.view(-1)[-1] = end
    log_p = distribution.log_prob(x.requires_grad_())
    require(
        log_p[0].isfinite() and (log_p[1:] == -math.inf).all(),
        f"beyond the support, [{low:g}, {high:g}], log_prob is {log_p[1:].tolist()}: the density there is zero",
    )
    if log_p.requires_grad:
        for gradient in torch.autograd.grad(log_p.sum(), [x, *distribution.parameters()], allow_unused=True):
            require(gradient is None or gradient.isfinite().all(), "an event beyond the support makes gradients NaN")
