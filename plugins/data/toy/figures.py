"""Figures in the plane, without noise: the common test cases of density estimation.

Each function draws ``n`` independent points ``[n, 2]`` in float64 from a numpy generator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from . import curved, two_moons

Points = NDArray[np.float64]
Scalars = NDArray[np.floating[Any]]


def eight_gaussians(rng: Generator, n: int) -> Points:
    r"""Eight centres on a circle of radius :math:`2\sqrt 2`, equally likely."""
    angle = rng.integers(8, size=n) * (np.pi / 4)
    centres: Points = 2.0 * np.sqrt(2.0) * _polar(angle)
    return centres


def checkerboard(rng: Generator, n: int) -> Points:
    """Uniform on the eight dark squares, each of side 2, of a board on ``[-4, 4]^2``."""
    column = rng.integers(4, size=n)
    row = 2 * rng.integers(2, size=n) + column % 2
    corner = np.stack([column, row], axis=1)
    return 2.0 * (corner + rng.random((n, 2))) - 4.0


def pinwheel(rng: Generator, n: int) -> Points:
    r"""Five Gaussian arms at radius 1, of radial deviation 0.3 and tangential 0.1, each turned by
    :math:`\tfrac14 e^{\rho}` where :math:`\rho` is the coordinate along the arm; all times 2.

    References: Johnson et al., Composing graphical models with neural networks for structured representations and
    fast inference, 2016, arXiv:1603.06277 (the data of its figure 2).
    """
    radial, tangential = 1.0 + 0.3 * rng.standard_normal(n), 0.1 * rng.standard_normal(n)
    angle = rng.integers(5, size=n) * (2.0 * np.pi / 5.0) + 0.25 * np.exp(radial)
    cos, sin = np.cos(angle), np.sin(angle)
    return 2.0 * np.stack([radial * cos - tangential * sin, radial * sin + tangential * cos], axis=1)


def rings(rng: Generator, n: int) -> Points:
    """Four concentric circles of radius 0.75, 1.5, 2.25 and 3, equally likely."""
    radius = 0.75 * rng.integers(1, 5, size=n)
    return radius[:, None] * _polar(rng.uniform(0.0, 2.0 * np.pi, n))


def spirals(rng: Generator, n: int) -> Points:
    r"""Two arms :math:`\pm\tfrac{t}{3}(-\cos t, \sin t)` where :math:`t = 3\pi\sqrt u`, :math:`u` uniform."""
    t = 3.0 * np.pi * np.sqrt(rng.random(n))
    arm = rng.choice([-1.0, 1.0], size=n)
    points: Points = (arm * t / 3.0)[:, None] * np.stack([-np.cos(t), np.sin(t)], axis=1)
    return points


FIGURES: Mapping[str, Callable[[Generator, int], Points]] = {
    "two_moons": two_moons.arcs,
    "eight_gaussians": eight_gaussians,
    "checkerboard": checkerboard,
    "pinwheel": pinwheel,
    "rings": rings,
    "spirals": spirals,
    **{name: known.draw for name, known in curved.KNOWN.items()},  # banana, funnel, student_t
}

SOLID = frozenset({"checkerboard", "pinwheel", *curved.KNOWN})
"""Figures that have a density even without noise; the others are curves or points."""


def _polar(angle: Scalars) -> Points:
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float64)
