"""A ring with two modes."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Energy, Shape, component

from .plane import normal, require_plane


@component("u1")
class U1(Energy):
    r"""A ring of radius 2 with two modes, to the left and to the right.

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
