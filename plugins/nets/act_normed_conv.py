"""Convolution with activation normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from zoo import DataDependent

from .moments import channel_moments, spread


class ActNormedConv(DataDependent, nn.Module):
    r"""A convolution that keeps height and width, and a scale and a shift for each channel of what it gives.

    .. math:: y = (w * x) \odot \exp(s) + b

    The weight starts as normal noise of standard deviation 0.05. The first batch comes out with mean zero and variance
    one, but a constant channel keeps its scale; from then on :math:`s` and :math:`b` are plain parameters.

    References: Kingma and Dhariwal, Glow, 2018, arXiv:1807.03039, sec. 3.1 and 4.

    Shapes: ``[B, before, H, W] -> [B, after, H, W]``.

    >>> conv = ActNormedConv(1, 2, 3)
    >>> x = torch.randn(8, 1, 4, 4)
    >>> conv.initialize(x)
    >>> conv(x).std(dim=(0, 2, 3), correction=0).round(decimals=3).tolist()
    [1.0, 1.0]
    """

    def __init__(self, before: int, after: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(after, before, kernel, kernel))
        self.log_scale = nn.Parameter(torch.zeros(after))
        self.bias = nn.Parameter(torch.zeros(after))
        nn.init.normal_(self.weight, std=0.05)
        self._padding = kernel // 2

    @torch.no_grad()
    def initialize(self, x: Tensor, context: Tensor | None = None) -> None:
        y = conv2d(x, self.weight, padding=self._padding)
        mean, var = (moment.flatten() for moment in channel_moments(y))
        std = spread(mean, var, y.dtype)
        self.log_scale.copy_(-std.log())
        self.bias.copy_(-mean / std)

    def forward(self, x: Tensor) -> Tensor:
        # The weight is scaled, not what comes out: it is the smaller one.
        weight = self.weight * self.log_scale.exp().view(-1, 1, 1, 1)
        return conv2d(x, weight, self.bias, padding=self._padding)
