"""Convolutional network with activation normalisation."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import conv2d

from zoo import Conditioner, DataDependent, Shape, TakesContext, component

from ..shared.moments import channel_moments, spread
from .activations import Activation, overwriting
from .context_conv import ContextConv


def check_same_size(in_shape: Shape, out_shape: Shape) -> None:
    """ValueError unless both are images of the same height and width.

    >>> check_same_size(Shape(3, 4, 4), Shape(6, 4, 4))
    """
    if len(in_shape) != 3 or len(out_shape) != 3:
        raise ValueError(f"needs images [C, H, W], got {in_shape} -> {out_shape}: use mlp for vectors")
    if tuple(in_shape)[1:] != tuple(out_shape)[1:]:
        raise ValueError(f"keeps height and width, so it cannot map {in_shape} to {out_shape}: use mlp")


class ActNormedConv(DataDependent, nn.Module):
    r"""Convolution that preserves height and width, with a scale and a shift of each output channel.

    .. math:: y = (w * x) \odot \exp(s) + b

    The weight starts as normal noise of standard deviation 0.05. The output of the first batch has mean zero and
    variance one, except in constant channels; from then on :math:`s` and :math:`b` are ordinary parameters.

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


def _odd(kernel: int) -> int:
    if kernel % 2 == 0:
        raise ValueError("must be odd, to preserve height and width")
    return kernel


Odd = Annotated[PositiveInt, AfterValidator(_odd)]


@component("convnet", example={"width": 8})
class ConvNet(Conditioner, TakesContext):
    r"""Plain convolutional network, with an activation between any two convolutions.

    .. math:: h_0 = x, \qquad h_l = \phi(\text{act\_norm}(w_l * h_{l-1})), \qquad y = w * h_{L-1} + b

    Each hidden channel is normalised with a scale and a shift that are initialised from the first batch. ``w`` and
    ``b`` start at zero. The default is the network in Glow's couplings, ``kernels: [3]`` the one in its split prior: a
    single convolution.

    Args:
        width: The channels of the hidden layers.
        kernels: The kernel sizes of the convolutions, odd.
        activation: The nonlinearity :math:`\phi`.
        dropout: The probability with which training drops a number after an activation.
        context: The channels of a context, a vector or an image, that a 1x1 convolution adds after the first
            convolution; 0 for none.

    References: Kingma and Dhariwal, Glow, 2018, arXiv:1807.03039, sec. 4.

    Shapes: ``[B, C, H, W] -> [B, C', H, W]``; ValueError for any other.

    >>> import torch, zoo
    >>> net = zoo.declare(zoo.Conditioner, {"type": "convnet", "width": 8})(zoo.Shape(3, 4, 4), zoo.Shape(6, 4, 4))
    >>> y = net(torch.ones(5, 3, 4, 4))
    >>> tuple(y.shape), y.abs().max().item()
    ((5, 6, 4, 4), 0.0)
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        width: PositiveInt = 64,
        kernels: Annotated[tuple[Odd, ...], Field(min_length=1)] = (3, 1, 3),
        activation: Activation = "relu",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(in_shape, out_shape)
        check_same_size(in_shape, out_shape)
        self.context = context
        *hidden, last = kernels
        layers: list[nn.Module] = []
        channels = in_shape[0]
        for kernel in hidden:
            layers += _hidden(channels, width, kernel, activation, dropout)
            channels = width
        self.layers = nn.Sequential(*layers, _output(channels, out_shape[0], last))
        self.context_conv = ContextConv(context, width if hidden else out_shape[0]) if context else None
        if self.context_conv is not None and not hidden:
            nn.init.zeros_(self.context_conv.conv.weight)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        if self.context_conv is None or context is None:
            y: Tensor = self.layers(x)
            return y
        h: Tensor = self.context_conv(self.layers[0](x), context)
        for layer in self.layers[1:]:
            h = layer(h)
        return h


def _hidden(before: int, after: int, kernel: int, phi: Activation, dropout: float) -> list[nn.Module]:
    layers: list[nn.Module] = [ActNormedConv(before, after, kernel), overwriting(phi)]
    return [*layers, nn.Dropout(dropout)] if dropout > 0 else layers


def _output(before: int, after: int, kernel: int) -> nn.Conv2d:
    conv = nn.Conv2d(before, after, kernel, padding=kernel // 2)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.get_parameter("bias"))
    return conv
