"""A wave that forks."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import component

from .plane import normal, step, wave
from .walled import Walled


@component("u4")
class U4(Walled):
    r"""A wave that forks into two, between two walls.

    .. math:: U_4(z) = -\ln\Bigl(e^{-\frac12 (\frac{z_2 - w_1}{0.4})^2} + e^{-\frac12 (\frac{z_2 - w_1 + w_3}{0.35})^2}
       \Bigr), \qquad w_1 = \sin\frac{2\pi z_1}{4}, \quad w_3 = 3\, \sigma\Bigl(\frac{z_1 - 1}{0.3}\Bigr)

    The paper's has no end in :math:`z_1`, so no density; a smooth wall :math:`\frac12 (\max(|z_1| - c, 0) / 0.4)^2` is
    added, with :math:`c` = ``half_width``, the edge of the paper's pictures. Raises ValueError for other events than
    points ``[2]``.

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
