"""Logistic distributions rounded to levels, and log scales with a lower bound."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from .events import nearest_level


def soft_clip(log_scale: Tensor, floor: float) -> Tensor:
    r""":math:`\operatorname{softplus}(\log s - f) + f`: the identity far above the floor :math:`f`, never below it.

    Unlike a clamp it has a gradient everywhere, so that values below the floor can recover.

    References: Rybkin et al., Simple and Effective VAE Training with Calibrated Decoders, 2021, arXiv:2006.13202.

    >>> import torch
    >>> soft_clip(torch.tensor([-100.0, -6.0, 4.0]), -6.0)
    tensor([-6.0000, -5.3069,  4.0000])
    """
    return softplus(log_scale - floor) + floor


FLOOR = -7.0
"""Where log scales are soft-clipped, for data between -1 and 1: a ninth of a level of 256."""
_SMALL = -7.0
_CHUNK = 16
_WIDEST = 60.0


def in_levels(mean: Tensor, log_scale: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """Means and log scales from a decoder, for data between -1 and 1, in units of levels."""
    half = 0.5 * (levels - 1)
    return (mean + 1.0) * half, soft_clip(log_scale, FLOOR) + math.log(half)


def log_prob_of(x: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    r"""Log-probability of a level, for each number.

    .. math:: \log(\sigma(a) - \sigma(b)) = \log \sigma(a) + \log \sigma(-b) + \log(1 - e^{-(a - b)})

    with :math:`a, b = (x \pm \tfrac12 - \mu) / s`; the first level reaches down and the last one up without end.
    No difference of two rounded probabilities is taken, so nothing is lost in the tails.

    >>> log_prob_of(torch.arange(4), torch.tensor(1.2), torch.tensor(0.3), 4).logsumexp(0).abs() < 1e-6
    tensor(True)
    """
    # From the integers: two neighbours then see the edge between them at one place.
    from_mean = x.to(mean.dtype) - mean
    precision = (-log_scale).exp()
    zero = torch.zeros_like(from_mean)
    first, last = x == 0, x == levels - 1
    below = torch.where(first, zero, logsigmoid((0.5 - from_mean) * precision))
    above = torch.where(last, zero, logsigmoid((from_mean + 0.5) * precision))
    return above + below + torch.where(first | last, zero, _log_of_rest(log_scale, precision))


def expected_level(mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    r""":math:`\mathrm E[x] = \sum_{k \ge 1} P(x \ge k)`, of each number, in units of levels."""
    precision = (-log_scale).exp()
    total = torch.zeros_like(mean)
    for start in range(1, levels, _CHUNK):
        k = torch.arange(start, min(start + _CHUNK, levels), dtype=mean.dtype, device=mean.device)
        distance = mean.unsqueeze(-1) - (k - 0.5)  # [..., chunk]
        total = total + torch.sigmoid(distance * precision.unsqueeze(-1)).sum(-1)
    return total


def drawn_level(mean: Tensor, log_scale: Tensor, noise: Tensor, levels: int) -> Tensor:
    """Levels by logistic noise."""
    # An infinite scale times no noise would be no number.
    return nearest_level(mean + log_scale.clamp(max=_WIDEST).exp() * noise, levels)


def logistic_noise(n: int, size: int, like: Tensor) -> Tensor:
    """Standard logistic numbers ``[n, size]``."""
    return as_logistic(torch.rand(n, size, dtype=like.dtype, device=like.device))


def as_logistic(u: Tensor) -> Tensor:
    """Uniform numbers as standard logistic ones, all finite.

    >>> as_logistic(torch.tensor([0.0, 0.5]))
    tensor([-15.9424,   0.0000])
    """
    return torch.logit(u, eps=torch.finfo(u.dtype).eps)


def _log_of_rest(log_scale: Tensor, precision: Tensor) -> Tensor:
    r""":math:`\log(1 - e^{-1/s})`, where the exponential is all but one too."""
    small = -log_scale < _SMALL
    rest = -torch.expm1(-torch.where(small, torch.ones_like(precision), precision))
    series = -log_scale - 0.5 * precision + precision.square() / 24.0
    return torch.where(small, series, rest.log())
