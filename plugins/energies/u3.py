"""A wave that splits around a bump."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import component

from .plane import bump, normal, wave
from .walled import Walled


@component("u3")
class U3(Walled):
    r"""Two waves that part around a bump and meet again, between two walls.

    .. math:: U_3(z) = -\ln\Bigl(e^{-\frac12 (\frac{z_2 - w_1}{0.35})^2} + e^{-\frac12 (\frac{z_2 - w_1 + w_2}{0.35})^2}
       \Bigr), \qquad w_1 = \sin\frac{2\pi z_1}{4}, \quad w_2 = 3 e^{-\frac12 (\frac{z_1 - 1}{0.6})^2}

    The paper's has no end in :math:`z_1`, so no density; a smooth wall :math:`\frac12 (\max(|z_1| - c, 0) / 0.4)^2` is
    added, with :math:`c` = ``half_width``, the edge of the paper's pictures. Raises ValueError for other events than
    points ``[2]``.

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
