"""Laws of distributions: the density normalises, and draws follow it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...interfaces.distribution import Distribution
from ..errors import LawBroken, require, require_event, require_per_sample

REACH = 40.0
BEYOND = 100.0
POINTS = {1: 20001, 2: 1601}


@dataclass(frozen=True)
class Grid:
    """A density on a grid over its support, or [-40, 40], for one or two numbers: ``axis`` ``[N]``, ``p`` and ``log_p``
    ``[N]`` or ``[N, N]``.
    """

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
        f"the density integrates to {total:.8g}, expected 1: check the normalising constant of log_prob, once for "
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
        f"beyond the support, [{low:g}, {high:g}], log_prob is {log_p[1:].tolist()}, expected minus infinity",
    )
    if log_p.requires_grad:
        for gradient in torch.autograd.grad(log_p.sum(), [x, *distribution.parameters()], allow_unused=True):
            require(gradient is None or gradient.isfinite().all(), "an event beyond the support makes gradients NaN")


DRAWS = 20000
SIGMAS = 5.0
NEAR, HALVES = 1500, 1000


@torch.no_grad()
def draws_have_shape(distribution: Distribution) -> None:
    """``sample(n)`` is ``[n, *shape]`` in the model's dtype and finite, ``log_prob`` of it is ``[n]``."""
    for n in (1, 4):
        x = draw(distribution, n)
        require_event("the sample", x, n, distribution.shape)
        require(x.dtype == torch.float64, f"in float64 the sample is {x.dtype}: draw in the dtype of the module")
        require(x.isfinite().all(), "the sample is not finite")
        require_per_sample("log_prob", distribution.log_prob(x), n)


def draws_obey_stein(distribution: Distribution) -> None:
    r"""Draws obey Stein's identities with the gradient of ``log_prob``, in any dimension.

    .. math:: \mathbb{E}[g\, \partial_j \log p(x) + \partial_j g] = 0

    for :math:`g = w(x_j)` and :math:`g = x_i w(x_j)`, each i and j; :math:`w = 1`, or :math:`(x_j - a)(b - x_j)` where
    the support is :math:`[a, b]`. They hold for densities that are smooth there; a draw from elsewhere, and numbers
    that hang together otherwise, break them.
    """
    x = draw(distribution, DRAWS).requires_grad_(True)
    log_p = distribution.log_prob(x).sum()
    score = torch.autograd.grad(log_p, x)[0] if log_p.requires_grad else torch.zeros_like(x)
    x, score = x.detach().flatten(1), score.flatten(1)
    w, slope = _vanishing(x, distribution.support)
    of_w = w * score + slope
    _require_zero("w(x)", of_w.mean(0), of_w.var(0))
    product = x.t() @ of_w / DRAWS
    square = x.square().t() @ of_w.square() / DRAWS
    same = x * of_w + w  # where i is j the product has one more term
    mean, variance = (torch.diagonal_scatter(*pair) for pair in ((product, same.mean(0)), (square, same.var(0))))
    off = 1.0 - torch.eye(len(mean), dtype=mean.dtype, device=mean.device)
    _require_zero("x_i w(x_j)", mean, variance - off * mean.square())


def _vanishing(x: Tensor, support: tuple[float, float] | None) -> tuple[Tensor, Tensor]:
    """A function of each number that is zero at the ends of the support, and its slope."""
    if support is None:
        return torch.ones_like(x), torch.zeros_like(x)
    low, high = support
    return (x - low) * (high - x), low + high - 2 * x


def _require_zero(what: str, mean: Tensor, variance: Tensor) -> None:
    error = (variance.clamp(min=0.0) / DRAWS).sqrt()
    worst = float((mean.abs() / error.clamp(min=1e-12)).max())
    require(
        worst <= SIGMAS,
        f"Stein's identity for g = {what} is off by {worst:.1f} standard errors: sample and log_prob have "
        "different distributions",
    )


@torch.no_grad()
def draws_match_density(distribution: Distribution) -> None:
    """For events of one or two numbers: each number's draws pass the test of Kolmogorov and Smirnov against the
    integrated density, and their mean ``log_prob`` is the negative entropy."""
    grid = grid_of(distribution)
    if grid is None:
        return
    x = draw(distribution, DRAWS)
    for dim, values in enumerate(x.reshape(DRAWS, -1).unbind(1)):
        gap = largest_gap(values, grid.axis, grid.cdf(dim))
        require(
            gap <= 2.2 / math.sqrt(DRAWS),
            f"draws and density differ by {gap:.3g} in the distribution function: sample does not follow the density "
            "of log_prob",
        )
    log_p = distribution.log_prob(x)
    entropy = -grid.integral(torch.where(grid.p > 0, grid.p * grid.log_p, 0.0))
    error = abs(float(log_p.mean()) + entropy) / max(float(log_p.std()) / math.sqrt(DRAWS), 1e-12)
    require(error <= SIGMAS, f"the mean log_prob of draws is {error:.1f} standard errors away from minus the entropy")


@torch.no_grad()
def draws_match_jointly(distribution: Distribution) -> None:
    r"""For events of one or two numbers: draws Y are as near to draws X of the integrated density as those are to each
    other, by the energy distance.

    .. math:: \mathcal E = 2\, \mathbb{E}|X - Y| - \mathbb{E}|X - X'| - \mathbb{E}|Y - Y'|

    It is zero for one distribution alone. It may be no larger than it ever is among many halves of X and Y together,
    which are the same distribution if the two are.

    References: Szekely and Rizzo, Energy statistics, 2013, J. Stat. Plan. Inference 143.
    """
    grid = grid_of(distribution)
    if grid is None:
        return
    many = torch.Generator().manual_seed(0)
    both = torch.cat((grid.draw(NEAR, many), draw(distribution, NEAR).reshape(NEAR, -1).cpu())).float()
    signs = torch.ones(2 * NEAR, 1 + HALVES, dtype=both.dtype)
    signs[NEAR:, 0] = -1.0
    for half in range(1, 1 + HALVES):
        signs[torch.randperm(2 * NEAR, generator=many)[:NEAR], half] = -1.0
    energy = -(signs * (torch.cdist(both, both) @ signs)).sum(0) / NEAR**2
    found, most = float(energy[0]), float(energy[1:].max())
    require(
        found <= most,
        f"draws are an energy distance of {found:.3g} from draws of the density, where chance gives {most:.3g}: sample "
        "does not follow the density of log_prob",
    )


@torch.no_grad()
def temperature_scales(distribution: Distribution) -> None:
    """A lower temperature gives narrower draws, and temperature one is the distribution itself."""
    cold, warm = (draw(distribution, 2000, temperature).std().item() for temperature in (0.5, 1.0))
    require(cold < 0.9 * warm, f"draws spread by {cold:.3g} at temperature 0.5 and by {warm:.3g} at 1: scale them")


def largest_gap(values: Tensor, axis: Tensor, cdf: Tensor) -> float:
    """Between the empirical distribution function and a given one, at the points of the axis."""
    empirical = torch.searchsorted(values.sort().values, axis, right=True) / len(values)
    return float((empirical - cdf).abs().max())


def draw(distribution: Distribution, n: int, temperature: float = 1.0) -> Tensor:
    """Seeded draws, without a trace in the default generator."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        x = distribution.sample(n, temperature=temperature)
    if not isinstance(x, Tensor):
        raise LawBroken(f"sample returns {type(x).__name__}, expected a tensor")
    return x
