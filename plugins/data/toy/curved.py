r"""Figures in the plane with densities and entropies in closed form.

A curve, a varying width, and heavy tails: a density estimator may miss them, and by how much is known.

=============  ==============================================================================  ==================
figure         distribution                                                                    entropy in nats
=============  ==============================================================================  ==================
``banana``     :math:`x_1 \sim \mathcal N(0, 1),\; x_2 \sim \mathcal N(x_1^2, 0.3^2)`          1.6339
``funnel``     :math:`x_1 \sim \mathcal N(0, 1.5^2),\; x_2 \sim \mathcal N(0, e^{x_1})`        3.2433
``student_t``  :math:`x = \varepsilon \sqrt{\nu / \chi^2_\nu},\; \nu = 5`                      3.2379
=============  ==============================================================================  ==================

Each entropy is that of the figure without noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

WIDTH = 0.3
"""The standard deviation across the banana."""
MOUTH = 1.5
"""The standard deviation of the funnel's first number, which is twice the logarithm of the second one's scale."""
DEGREES = 5.0
"""The degrees of freedom of Student's t."""


class Known(NamedTuple):
    """Distribution in the plane: its samples, ``n -> [n, 2]``; its log-density, ``[N, 2] -> [N]``; its entropy."""

    draw: Callable[[Generator, int], NDArray[np.float64]]
    log_density: Callable[[Tensor], Tensor]
    entropy: float


def banana(rng: Generator, n: int) -> NDArray[np.float64]:
    """Normal about a parabola: the second number about the first one's square."""
    along, across = rng.standard_normal((2, n))
    return np.stack([along, along**2 + WIDTH * across], axis=1)


def funnel(rng: Generator, n: int) -> NDArray[np.float64]:
    """Neal's funnel: the first number is twice the logarithm of the second one's standard deviation.

    References: Neal, Slice sampling, Annals of Statistics 31, 2003, sec. 8, there with ten dimensions and width 3.
    """
    along, across = MOUTH * rng.standard_normal(n), rng.standard_normal(n)
    return np.stack([along, np.exp(0.5 * along) * across], axis=1)


def student_t(rng: Generator, n: int) -> NDArray[np.float64]:
    """Student's t in the plane: normals that share the root of an inverse gamma as their scale."""
    scale = np.sqrt(DEGREES / rng.chisquare(DEGREES, n))
    return scale[:, None] * rng.standard_normal((n, 2))


def _log_banana(x: Tensor) -> Tensor:
    return _log_normal(x[:, 0], 1.0) + _log_normal(x[:, 1] - x[:, 0] ** 2, WIDTH)


def _log_funnel(x: Tensor) -> Tensor:
    scale = (0.5 * x[:, 0]).exp()
    return _log_normal(x[:, 0], MOUTH) + _log_normal(x[:, 1] / scale, 1.0) - 0.5 * x[:, 0]


def _log_student_t(x: Tensor) -> Tensor:
    # In the plane the constant, Gamma((nu + 2) / 2) / (Gamma(nu / 2) nu pi), is 1 / (2 pi).
    return -(0.5 * DEGREES + 1.0) * torch.log1p(x.square().sum(1) / DEGREES) - math.log(2.0 * math.pi)


def _log_normal(x: Tensor, std: float) -> Tensor:
    return -0.5 * (x / std).square() - math.log(std) - 0.5 * math.log(2.0 * math.pi)


_TWO_NORMALS = 1.0 + math.log(2.0 * math.pi)

KNOWN: Mapping[str, Known] = {
    "banana": Known(banana, _log_banana, _TWO_NORMALS + math.log(WIDTH)),
    # The mean of log e^(x_1 / 2) is zero.
    "funnel": Known(funnel, _log_funnel, _TWO_NORMALS + math.log(MOUTH)),
    # E log(1 + r^2 / nu) is 2 / nu: r^2 / 2 has an F distribution with 2 and nu degrees.
    "student_t": Known(student_t, _log_student_t, math.log(2.0 * math.pi) + 1.0 + 2.0 / DEGREES),
}
"""The figures by their names."""
