"""Invertible 1x1 convolution."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Bijection, Shape, component

from ..nets.moments import places
from .per_sample import per_sample
from .plu import PLU
from .product import product


@component("conv1x1")
class Conv1x1(Bijection):
    r"""Invertible 1x1 convolution: mixes the channels at each place by one matrix in PLU factors.

    .. math:: z_{:,h,w} = W x_{:,h,w}, \qquad W = P L (U + \operatorname{diag}(\sigma \odot e^s))

    so that :math:`\log|\det \partial z / \partial x| = H W \sum_c s_c`. P and :math:`\sigma` are fixed; W starts as a
    random rotation. The inverse is in float64, by triangular solves.

    References: Kingma and Dhariwal, Glow, 2018, arXiv:1807.03039, sec. 3.2, eq. 9-11.

    Shapes: ``[B, C, H, W]``, unchanged; ValueError for what is no image: that is ``dense``'s.

    >>> import torch, zoo
    >>> conv = zoo.declare(zoo.Bijection, "conv1x1")(zoo.Shape(3, 4, 4))
    >>> x = torch.ones(2, 3, 4, 4)
    >>> z, log_det = conv(x)
    >>> torch.allclose(z.norm(dim=1), x.norm(dim=1))    # a rotation, before training
    True
    """

    def __init__(self, shape: Shape) -> None:
        if len(shape) != 3:
            raise ValueError(f"needs an image [C, H, W], not {shape}: use dense")
        super().__init__(shape)
        self.plu = PLU(shape[0])
        self._places = places(shape)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._mixed(self.plu.weight(), x), self._log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        unit = torch.eye(self.shape[0], dtype=torch.float64, device=z.device)
        x = self._mixed(self.plu.solve(unit).T, z.double())
        return x.to(z.dtype), -self._log_det(z)

    @staticmethod
    def _mixed(weight: Tensor, x: Tensor) -> Tensor:
        return product(weight, x.flatten(2)).view(x.shape)

    def _log_det(self, x: Tensor) -> Tensor:
        return per_sample(self.plu.log_det() * self._places, x)
