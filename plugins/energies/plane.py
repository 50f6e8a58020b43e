r"""What the energies in the plane share: two curves, their distance, and walls where they would never end.

.. math:: w_1 = \sin\frac{2\pi z_1}{4}, \qquad w_2 = 3 \exp\Bigl(-\frac12 \Bigl(\frac{z_1 - 1}{0.6}\Bigr)^2\Bigr),
   \qquad w_3 = 3\, \sigma\Bigl(\frac{z_1 - 1}{0.3}\Bigr)

:math:`U_2, U_3, U_4` follow :math:`z_2 = w_1(z_1)` along the whole line, so that :math:`\exp(-U)` has no finite
integral. The paper shows them on :math:`[-4, 4]^2`. Here a wall

.. math:: \frac12 \Bigl(\frac{\max(|z_1| - c, 0)}{0.4}\Bigr)^2

is added with :math:`c` = ``half_width`` (4): nothing within, outside as steep as :math:`U_2` is across.

References: Rezende and Mohamed, Variational inference with normalizing flows, 2015, arXiv:1505.05770, table 1.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import relu

from zoo import Shape

HalfWidth = Annotated[float, Field(gt=0.0, le=10.0)]
"""Where the walls are; not so far out that a grid over all of it were coarse."""

STEEPNESS = 0.4
"""The standard deviation of the walls."""
REACH = 4.0
"""The curves lie in -4 <= z2 <= 1."""
DEVIATIONS = 8.0
"""Beyond as many of them a normal has 1e-15 of its mass."""


def require_plane(shape: Shape) -> None:
    """ValueError for other events than points in the plane."""
    if tuple(shape) != (2,):
        raise ValueError(f"is an energy of points in the plane, not of events of shape {shape}")


def extent(half_width: float) -> float:
    """Half the side of a square with all of the mass between the walls."""
    return max(half_width, REACH) + DEVIATIONS * STEEPNESS


def wall(z1: Tensor, half_width: float) -> Tensor:
    """The walls' own energy."""
    return 0.5 * (relu(z1.abs() - half_width) / STEEPNESS).square()


def wave(z1: Tensor) -> Tensor:
    """:math:`w_1`."""
    return torch.sin(0.5 * math.pi * z1)


def bump(z1: Tensor) -> Tensor:
    """:math:`w_2`."""
    return 3.0 * normal(z1 - 1.0, 0.6).exp()


def step(z1: Tensor) -> Tensor:
    """:math:`w_3`."""
    return 3.0 * torch.sigmoid((z1 - 1.0) / 0.3)


def normal(distance: Tensor, scale: float) -> Tensor:
    """The logarithm of a normal's density up to its constant."""
    return -0.5 * (distance / scale).square()
