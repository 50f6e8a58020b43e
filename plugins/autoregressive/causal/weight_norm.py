"""Weight-normalised convolution with data-dependent initialisation."""

from __future__ import annotations

from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from zoo import DataDependent

from ...shared.moments import channel_moments, spread
from .conv1x1 import Pointwise
from .masked_conv import CausalConv
from .row_conv import RowConv
from .upsample_conv import UpConv

C = TypeVar("C", CausalConv, Pointwise, RowConv, UpConv)


class Normed(DataDependent, nn.Module, Generic[C]):
    r"""Convolution with its weight as :math:`w = g\, v / \lVert v \rVert`, with a gain for each output channel.

    The directions :math:`v` start as normal noise of standard deviation 0.05. The output of the first batch has mean
    zero and standard deviation ``scale``, except in constant channels, whose gain is unchanged; from then on gain and
    bias are ordinary parameters. The gains are the parameter ``parametrizations.weight.original0``, the directions are
    ``original1``.

    References: Salimans and Kingma, Weight Normalization, 2016, arXiv:1602.07868, eq. 2 and 5-6.

    Shapes: those of the convolution.

    >>> conv = Normed(Pointwise(3, 2), scale=0.1)
    >>> x = torch.randn(8, 3, 4, 4)
    >>> conv.initialize(x)
    >>> conv(x).std(dim=(0, 2, 3), correction=0)
    tensor([0.1000, 0.1000], grad_fn=<StdBackward0>)
    """

    layer: C

    def __init__(self, layer: C, scale: float = 1.0) -> None:
        super().__init__()
        self.layer = layer
        self.scale = scale
        holder = self._holder()
        nn.init.normal_(holder.weight, std=0.05)  # type: ignore[arg-type]
        # Directions are those into a channel: in the weight of a transposed convolution it comes second.
        weight_norm(holder, dim=1 if isinstance(layer, UpConv) else 0)

    @property
    def gain(self) -> nn.Parameter:
        """The gains, of the shape that scales the weight."""
        return self._holder().get_parameter("parametrizations.weight.original0")

    @property
    def bias(self) -> nn.Parameter:
        return self._holder().get_parameter("bias")

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y

    @torch.no_grad()
    def initialize(self, x: Tensor, context: Tensor | None = None) -> None:
        self.bias.zero_()  # small outputs would be lost next to a large bias
        y = self.layer(x)
        mean, var = (moment.flatten() for moment in channel_moments(y))
        std = spread(mean, var, y.dtype, constant=self.scale)
        self.gain.mul_((self.scale / std).view_as(self.gain))
        self.bias.copy_(-mean * self.scale / std)

    def _holder(self) -> nn.Module:
        """The module with the weight."""
        return self.layer if isinstance(self.layer, CausalConv) else self.layer.conv
