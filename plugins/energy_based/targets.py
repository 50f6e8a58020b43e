"""Energies of the plane, u1 to u4, as targets."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import relu

from zoo import Energy, Shape, component

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
        raise ValueError(f"is an energy of points in the plane, got events of shape {shape}")


def extent(half_width: float) -> float:
    """Half the side of a square with all of the mass between the walls."""
    return max(half_width, REACH) + DEVIATIONS * STEEPNESS


def wall(z1: Tensor, half_width: float) -> Tensor:
    """The energy of the walls."""
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


class Walled(Energy, ABC):
    r"""Energy of points along a curve over :math:`z_1`, with a wall at each end.

    .. math:: U(z) = U_c(z_1, z_2) + \frac12 \Bigl(\frac{\max(|z_1| - c, 0)}{0.4}\Bigr)^2

    Raises ValueError for other events than points ``[2]``.

    Args:
        half_width: Where the walls are, :math:`c`; the default is the edge of the paper's pictures.
    """

    def __init__(self, shape: Shape, *, half_width: HalfWidth = 4.0) -> None:
        super().__init__(shape)
        require_plane(shape)
        self.half_width = half_width
        self.extent = extent(half_width)

    def forward(self, x: Tensor) -> Tensor:
        z1, z2 = x.unbind(1)
        return wall(z1, self.half_width) + self.along(z1, z2)

    @abstractmethod
    def along(self, z1: Tensor, z2: Tensor) -> Tensor:
        """The energy between the walls, ``[B]``."""


@component("u1")
class U1(Energy):
    r"""Ring of radius 2 with two modes, to the left and to the right.

    .. math:: U_1(z) = \frac12 \Bigl(\frac{|z| - 2}{0.4}\Bigr)^2
       - \ln\Bigl(e^{-\frac12 (\frac{z_1 - 2}{0.6})^2} + e^{-\frac12 (\frac{z_1 + 2}{0.6})^2}\Bigr)

    Raises ValueError for other events than points ``[2]``.

    References: Rezende and Mohamed, Variational inference with normalizing flows, 2015, arXiv:1505.05770, table 1.

    Shapes: ``[B, 2] -> [B]``, in nats.

    >>> import torch, zoo
    >>> u1 = zoo.declare(zoo.Energy, "u1")(zoo.Shape(2))
    >>> u1(torch.tensor([[-2.4, 0.0], [0.0, 2.0]])).round(decimals=3)
    tensor([0.7220, 4.8620])
    """

    extent = 6.0

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        require_plane(shape)

    def forward(self, x: Tensor) -> Tensor:
        ring = normal(torch.linalg.vector_norm(x, dim=1) - 2.0, 0.4)
        modes = torch.logaddexp(normal(x[:, 0] - 2.0, 0.6), normal(x[:, 0] + 2.0, 0.6))
        return -ring - modes


@component("u2")
class U2(Walled):
    r"""Wave: a strip along a sine, between two walls.

    .. math:: U_2(z) = \frac12 \Bigl(\frac{z_2 - w_1(z_1)}{0.4}\Bigr)^2, \qquad w_1(z_1) = \sin\frac{2\pi z_1}{4}

    The paper's energy is not bounded in :math:`z_1` and so has no density; a smooth wall :math:`\frac12 (\max(|z_1| -
    c, 0) / 0.4)^2` is added. Raises ValueError for other events than points ``[2]``.

    References: Rezende and Mohamed, Variational inference with normalizing flows, 2015, arXiv:1505.05770, table 1.

    Shapes: ``[B, 2] -> [B]``, in nats.

    >>> import torch, zoo
    >>> u2 = zoo.declare(zoo.Energy, "u2")(zoo.Shape(2))
    >>> u2(torch.tensor([[1.0, 1.0], [0.0, 0.4], [4.4, 0.5878]])).round(decimals=3)
    tensor([0.0000, 0.5000, 0.5000])
    """

    def along(self, z1: Tensor, z2: Tensor) -> Tensor:
        return -normal(z2 - wave(z1), 0.4)


@component("u3")
class U3(Walled):
    r"""Two waves that part around a bump and meet again, between two walls.

    .. math:: U_3(z) = -\ln\Bigl(e^{-\frac12 (\frac{z_2 - w_1}{0.35})^2} + e^{-\frac12 (\frac{z_2 - w_1 + w_2}{0.35})^2}
       \Bigr), \qquad w_1 = \sin\frac{2\pi z_1}{4}, \quad w_2 = 3 e^{-\frac12 (\frac{z_1 - 1}{0.6})^2}

    The paper's energy is not bounded in :math:`z_1` and so has no density; a smooth wall :math:`\frac12 (\max(|z_1| -
    c, 0) / 0.4)^2` is added. Raises ValueError for other events than points ``[2]``.

    References: Rezende and Mohamed, Variational inference with normalizing flows, 2015, arXiv:1505.05770, table 1.

    Shapes: ``[B, 2] -> [B]``, in nats.

    >>> import torch, zoo
    >>> u3 = zoo.declare(zoo.Energy, "u3")(zoo.Shape(2))
    >>> u3(torch.tensor([[1.0, 1.35], [1.0, -2.35], [1.0, -0.5]])).round(decimals=3)    # both waves, and between them
    tensor([0.5000, 0.5000, 8.4910])
    """

    def along(self, z1: Tensor, z2: Tensor) -> Tensor:
        above = z2 - wave(z1)
        return -torch.logaddexp(normal(above, 0.35), normal(above + bump(z1), 0.35))


@component("u4")
class U4(Walled):
    r"""Wave that forks into two, between two walls.

    .. math:: U_4(z) = -\ln\Bigl(e^{-\frac12 (\frac{z_2 - w_1}{0.4})^2} + e^{-\frac12 (\frac{z_2 - w_1 + w_3}{0.35})^2}
       \Bigr), \qquad w_1 = \sin\frac{2\pi z_1}{4}, \quad w_3 = 3\, \sigma\Bigl(\frac{z_1 - 1}{0.3}\Bigr)

    The paper's energy is not bounded in :math:`z_1` and so has no density; a smooth wall :math:`\frac12 (\max(|z_1| -
    c, 0) / 0.4)^2` is added. Raises ValueError for other events than points ``[2]``.

    References: Rezende and Mohamed, Variational inference with normalizing flows, 2015, arXiv:1505.05770, table 1.

    Shapes: ``[B, 2] -> [B]``, in nats.

    >>> import torch, zoo
    >>> u4 = zoo.declare(zoo.Energy, "u4")(zoo.Shape(2))
    >>> u4(torch.tensor([[-1.0, -1.0], [3.0, -0.6], [3.0, -2.5]])).round(decimals=1)    # stem, branch, and between
    tensor([-0.7000,  0.5000,  6.9000])
    """

    def along(self, z1: Tensor, z2: Tensor) -> Tensor:
        above = z2 - wave(z1)
        return -torch.logaddexp(normal(above, 0.4), normal(above + step(z1), 0.35))
