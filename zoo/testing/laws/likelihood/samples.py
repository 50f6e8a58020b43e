"""Draws of a likelihood are data, and follow its probabilities."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ....interfaces.likelihood import Likelihood
from ...errors import distance, require, require_event
from ..distribution import DRAWS, SIGMAS, largest_gap
from .outputs import answers, answers_each, density_on, drawn, level_axis, line, probabilities

FEW = 10.0
"""Levels with fewer expected draws are counted together."""


@torch.no_grad()
def draws_are_data(likelihood: Likelihood) -> None:
    """A draw is data as the event describes it: integers within the levels, uint8 up to 256 of them, or floating point
    numbers in the model's dtype. This holds for extreme decoder outputs too.
    """
    event = likelihood.event
    for scale in (1.0, 30.0):
        x = drawn(likelihood, answers(likelihood, 4, scale))
        require_event("the draw", x, 4, event.shape)
        if event.levels is None:
            require(x.dtype == torch.float64, f"in float64 a draw is {x.dtype}: draw in the dtype of the output")
            require(x.isfinite().all(), "a draw is not finite")
            continue
        wanted = torch.uint8 if event.levels <= 256 else torch.int64
        require(
            x.dtype == wanted, f"a draw of {event.levels} levels is {x.dtype}, expected {wanted}: round it to levels"
        )
        require((x >= 0).all() and (x <= event.levels - 1).all(), "a draw is outside the levels: clamp it")


@torch.no_grad()
def draws_follow(likelihood: Likelihood) -> None:
    """For data of one number: frequencies of levels are their probabilities, within five standard errors; draws of a
    continuous number pass the test of Kolmogorov and Smirnov against the integrated density."""
    axis, points = level_axis(likelihood), line(likelihood)
    for h in answers_each(likelihood, 3, 0.5):
        if axis is not None and not likelihood.density:
            worst = _worst_frequency(_many(likelihood, h).long(), probabilities(likelihood, axis, h))
            require(worst <= SIGMAS, f"a level is {worst:.1f} standard errors off its probability in draws")
        elif points is not None:
            p = density_on(likelihood, points, h)
            cdf = torch.cat((p.new_zeros(1), torch.cumulative_trapezoid(p, points)))
            gap = largest_gap(_many(likelihood, h), points, cdf)
            require(
                gap <= 2.2 / math.sqrt(DRAWS), f"draws and density differ by {gap:.3g} in the distribution function"
            )


def _many(likelihood: Likelihood, h: Tensor) -> Tensor:
    return drawn(likelihood, h.expand(DRAWS, *likelihood.decoded)).flatten()


def _worst_frequency(x: Tensor, p: Tensor) -> float:
    """In standard errors."""
    counts = torch.bincount(x, minlength=p.numel()).to(p.dtype)
    rare = p * DRAWS < FEW
    p = torch.cat((p[~rare], p[rare].sum().reshape(1)))
    counts = torch.cat((counts[~rare], counts[rare].sum().reshape(1)))
    # At least as far as one draw may be off where none is expected.
    error = (p * (1.0 - p) / DRAWS).clamp(min=0.0).sqrt().clamp(min=1.0 / DRAWS)
    return float(((counts / DRAWS - p).abs() / error).max())


@torch.no_grad()
def temperature_scales_noise(likelihood: Likelihood) -> None:
    """``noise`` is ``[n, noise_size]`` in the model's dtype, and half of itself at half the temperature."""
    cold, warm = (_noise(likelihood, temperature) for temperature in (0.5, 1.0))
    require(
        list(warm.shape) == [3, likelihood.noise_size],
        f"the noise has shape {list(warm.shape)}, expected [3, {likelihood.noise_size}]: check noise_size",
    )
    require(warm.dtype == torch.float64, f"in float64 the noise is {warm.dtype}: draw in the dtype of the module")
    require(distance(cold, 0.5 * warm) <= 1e-9, "noise at temperature 0.5 is not half of that at 1: scale it")


def _noise(likelihood: Likelihood, temperature: float) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return likelihood.noise(3, temperature)
