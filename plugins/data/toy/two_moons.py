r"""Two moons: how the points are drawn, and the density that they are drawn from.

With the angle :math:`\theta` uniform on :math:`[0, \pi]`, one moon is :math:`c(\theta) = (\cos\theta, \sin\theta)`, the
other its point reflection :math:`a - c(\theta)` with :math:`a = (1, \tfrac12)`; each has half of the points, and noise
:math:`\mathcal N(0, \sigma^2 I)` is added. So

.. math:: p(x) = \tfrac12 m(x) + \tfrac12 m(a - x), \qquad
    m(x) = \frac1\pi \int_0^\pi \mathcal N\bigl(x; c(\theta), \sigma^2 I\bigr)\, d\theta,

an integral in one dimension: the likelihood of a perfect model of the data is known.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

CENTRE = (1.0, 0.5)
"""The sum of the two moons' centres: reflecting at half of it swaps the moons."""


class Entropy(NamedTuple):
    """An estimate in nats and its standard error."""

    nats: float
    error: float


def arcs(rng: Generator, n: int) -> NDArray[np.float64]:
    """``n`` points on the two half circles, without noise: ``[n, 2]``."""
    angle = rng.uniform(0.0, np.pi, n)
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.where(rng.random((n, 1)) < 0.5, points, np.asarray(CENTRE) - points)


def log_density(x: Tensor, noise: float) -> Tensor:
    r"""The exact :math:`\log p(x)` of two moons with this noise :math:`\sigma`, in float64: ``[N, 2] -> [N]``.

    The integral is taken by Gauss-Legendre quadrature, with nodes much closer than :math:`\sigma`: it is exact to
    rounding. Use chunks if N is large: it needs N times some :math:`10 / \sigma` numbers.

    >>> log_density(torch.tensor([[0.0, 1.0], [0.5, 0.25]]), noise=0.1)
    tensor([-0.4530, -9.1916], dtype=torch.float64)
    """
    if noise <= 0.0:
        raise ValueError(f"the density of two moons requires noise above 0, got {noise}")
    x = x.double()
    reflected = x.new_tensor(CENTRE) - x
    return torch.logaddexp(_moon(x, noise), _moon(reflected, noise)) - math.log(2.0)


def entropy(noise: float, *, draws: int = 200_000, seed: int = 0) -> Entropy:
    r"""The entropy :math:`-\mathrm E \log p(x)` of two moons in nats, by Monte Carlo, with its standard error.

    No model can have a lower expected negative log-likelihood. The draws are independent of every data set's.

    >>> estimate = entropy(0.1, draws=1000)
    >>> estimate.error < 0.05
    True
    """
    rng = np.random.default_rng([seed, draws, 2])
    x = torch.from_numpy(arcs(rng, draws) + noise * rng.standard_normal((draws, 2)))
    nats = -torch.cat([log_density(chunk, noise) for chunk in torch.split(x, 8192)])
    return Entropy(nats.mean().item(), nats.std().item() / math.sqrt(draws))


def _moon(x: Tensor, noise: float) -> Tensor:
    """The log-density of the upper moon."""
    nodes, weights = np.polynomial.legendre.leggauss(64 + math.ceil(3.0 * math.pi / noise))
    angle = x.new_tensor(0.5 * math.pi * (nodes + 1.0))
    log_weight = x.new_tensor(np.log(0.5 * weights))
    squares = (x[:, :1] - angle.cos()).square() + (x[:, 1:] - angle.sin()).square()
    log_normal = -squares / (2.0 * noise**2) - math.log(2.0 * math.pi * noise**2)
    return torch.logsumexp(log_normal + log_weight, dim=1)
