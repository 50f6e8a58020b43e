"""Draws follow the density."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..interfaces.distribution import Distribution
from .broken import LawBroken, require
from .density import grid_of
from .shapes import require_event, require_per_sample

DRAWS = 20000
SIGMAS = 5.0


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

    .. math:: \mathbb{E}[g(x_j)\, \partial_j \log p(x) + g'(x_j)] = 0

    for :math:`g = 1` and :math:`g = x`, and for :math:`g = (x - a)(b - x)` where the support is :math:`[a, b]`. They
    hold for densities that are smooth there; a draw from elsewhere breaks them.
    """
    x = draw(distribution, DRAWS).requires_grad_(True)
    log_p = distribution.log_prob(x).sum()
    score = torch.autograd.grad(log_p, x)[0] if log_p.requires_grad else torch.zeros_like(x)
    for what, g, slope in _test_functions(distribution, x.detach()):
        values = g * score + slope
        mean, error = values.mean(0), values.std(0) / math.sqrt(DRAWS)
        worst = float((mean.abs() / error.clamp(min=1e-12)).max())
        require(
            worst <= SIGMAS,
            f"Stein's identity for g = {what} is off by {worst:.1f} standard errors: sample and log_prob are of "
            "different distributions",
        )


def _test_functions(distribution: Distribution, x: Tensor) -> list[tuple[str, Tensor, Tensor]]:
    """A name, values and slopes of each."""
    if distribution.support is None:
        return [("1", torch.ones_like(x), torch.zeros_like(x)), ("x", x, torch.ones_like(x))]
    low, high = distribution.support
    return [("(x - a)(b - x)", (x - low) * (high - x), low + high - 2 * x)]


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
            f"draws and density differ by {gap:.3g} in the distribution function: sample is not of log_prob's density",
        )
    log_p = distribution.log_prob(x)
    entropy = -grid.integral(torch.where(grid.p > 0, grid.p * grid.log_p, 0.0))
    error = abs(float(log_p.mean()) + entropy) / max(float(log_p.std()) / math.sqrt(DRAWS), 1e-12)
    require(error <= SIGMAS, f"the mean log_prob of draws is {error:.1f} standard errors away from minus the entropy")


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
        raise LawBroken(f"sample returns {type(x).__name__}, not a tensor")
    return x
