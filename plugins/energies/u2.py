"""A wave."""

from __future__ import annotations

from torch import Tensor

from zoo import component

from .plane import normal, wave
from .walled import Walled


@component("u2")
class U2(Walled):
    r"""A wave: a strip along a sine, between two walls.

    .. math:: U_2(z) = \frac12 \Bigl(\frac{z_2 - w_1(z_1)}{0.4}\Bigr)^2, \qquad w_1(z_1) = \sin\frac{2\pi z_1}{4}

    The paper's has no end in :math:`z_1`, so no density; a smooth wall :math:`\frac12 (\max(|z_1| - c, 0) / 0.4)^2` is
    added, with :math:`c` = ``half_width``, the edge of the paper's pictures. Raises ValueError for other events than
    points ``[2]``.

    References: Rezende and Mohamed, Variational inference with normalizing flows, 2015, arXiv:1505.05770, table 1.

    Shapes: ``[B, 2] -> [B]``, in nats.

    >>> import torch, zoo
    >>> u2 = zoo.declare(zoo.Energy, "u2")(zoo.Shape(2))
    >>> u2(torch.tensor([[1.0, 1.0], [0.0, 0.4], [4.4, 0.5878]])).round(decimals=3)
    tensor([0.0000, 0.5000, 0.5000])
    """

    def along(self, z1: Tensor, z2: Tensor) -> Tensor:
        return -normal(z2 - wave(z1), 0.4)
