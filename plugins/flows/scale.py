"""Diagonal scaling."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo import Bijection, Shape, component

from .per_sample import per_sample


@component("scale")
class Scale(Bijection):
    r"""Diagonal scaling: a factor for each element, the same for all samples.

    .. math:: z = x \odot \exp(s)

    so that :math:`\log|\det \partial z / \partial x| = \sum_j s_j`. After layers that keep volume it says how much each
    latent matters.

    References: Dinh et al., NICE: Non-linear Independent Components Estimation, 2015, arXiv:1410.8516, sec. 3.3.

    Shapes: ``[B, *shape]``, unchanged.

    >>> import torch, zoo
    >>> scale = zoo.declare(zoo.Bijection, "scale")(zoo.Shape(2))
    >>> _ = scale.log_scale.data.copy_(torch.tensor([0.0, 2.0]).log1p())
    >>> scale(torch.tensor([[1.0, 2.0]]))
    (tensor([[1., 6.]], grad_fn=<MulBackward0>), tensor([1.0986], grad_fn=<ExpandBackward0>))
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.log_scale = nn.Parameter(torch.zeros(*shape))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x * self.log_scale.exp(), per_sample(self.log_scale.sum(), x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z * self.log_scale.neg().exp(), -per_sample(self.log_scale.sum(), z)
