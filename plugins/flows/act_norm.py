"""Activation normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo import Bijection, DataDependent, Shape, component

from ..nets.moments import channel_moments, places, spread
from .per_sample import per_sample


@component("act_norm")
class ActNorm(DataDependent, Bijection):
    r"""Activation normalisation: a scale and a shift for each channel, which start from the first batch.

    .. math:: z = x \odot \exp(s) + b

    so that :math:`\log|\det \partial z / \partial x| = H W \sum_c s_c`. The first batch comes out with mean zero and
    variance one; a channel that is constant in it keeps its scale. From then on both are plain parameters.

    References: Kingma and Dhariwal, Glow, 2018, arXiv:1807.03039, sec. 3.1.

    Shapes: ``[B, C, H, W]`` or ``[B, D]``, unchanged.

    >>> import torch, zoo
    >>> norm = zoo.declare(zoo.Bijection, "act_norm")(zoo.Shape(1))
    >>> x = torch.tensor([[1.0], [3.0]])
    >>> norm.initialize(x)
    >>> norm(x)[0].flatten().tolist()
    [-1.0, 1.0]
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        sizes = (shape[0],) + (1,) * (len(shape) - 1)
        self.log_scale = nn.Parameter(torch.zeros(sizes))
        self.bias = nn.Parameter(torch.zeros(sizes))
        self._places = places(shape)

    @torch.no_grad()
    def initialize(self, x: Tensor, context: Tensor | None = None) -> None:
        mean, var = channel_moments(x)
        std = spread(mean, var, x.dtype)
        self.log_scale.copy_(-std.log())
        self.bias.copy_(-mean / std)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return torch.addcmul(self.bias, x, self.log_scale.exp()), self._log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return (z - self.bias) * self.log_scale.neg().exp(), -self._log_det(z)

    def _log_det(self, x: Tensor) -> Tensor:
        return per_sample(self.log_scale.sum() * self._places, x)
