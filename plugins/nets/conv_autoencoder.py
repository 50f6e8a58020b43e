"""Convolutional encoder and decoder."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from zoo import Decoder, Encoder, Shape, component

from .activations import Activation, overwriting
from .mlp import perceptron


def halved(shape: Shape, times: int) -> tuple[int, int]:
    """Height and width of an image after ``times`` halvings; ValueError if a side is odd on the way.

    >>> halved(Shape(1, 64, 48), 4)
    (4, 3)
    """
    if len(shape) != 3:
        raise ValueError(f"needs images, got shape {shape}")
    _, H, W = shape
    # The number is checked before it is an exponent: it may come from a file.
    if times > min(H, W).bit_length() or H % 2**times or W % 2**times:
        raise ValueError(f"halves {H}x{W} images {times} times: their sides must be multiples of {2 ** min(times, 32)}")
    return H // 2**times, W // 2**times


@component("conv", example={"channels": [4], "hidden": [8]})
class ConvEncoder(Encoder):
    r"""Convolutional encoder: strided convolutions, each of which halves the image, followed by fully connected layers.

    .. math:: h_0 = x, \qquad h_l = \phi(w_l * h_{l-1})_{\downarrow 2}, \qquad y = \text{mlp}(h_L)

    The kernels are 4x4. The defaults are the network of Burgess et al. for 64x64 images.

    Args:
        channels: The output channels of the convolutions.
        hidden: The units of the hidden fully connected layers.
        activation: The nonlinearity :math:`\phi`.

    References: Burgess et al., Understanding disentangling in beta-VAE, 2018, arXiv:1804.03599, appendix A.

    Shapes: ``[B, C, H, W] -> [B, *out_shape]``; ValueError unless the sides are even before every convolution.

    >>> import torch, zoo
    >>> encoder = zoo.declare(zoo.Encoder, "conv")(zoo.Shape(1, 64, 64), zoo.Shape(20))
    >>> encoder(torch.ones(5, 1, 64, 64)).shape
    torch.Size([5, 20])
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        channels: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (32, 32, 32, 32),
        hidden: tuple[PositiveInt, ...] = (256, 256),
        activation: Activation = "relu",
    ) -> None:
        super().__init__(in_shape, out_shape)
        h, w = halved(in_shape, len(channels))
        layers: list[nn.Module] = []
        for before, after in pairwise((in_shape[0], *channels)):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), overwriting(activation)]
        self.convolutions = nn.Sequential(*layers)
        self.layers = perceptron(channels[-1] * h * w, hidden, out_shape.size, activation)
        self._sizes = tuple(out_shape)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.layers(self.convolutions(x).flatten(1))  # [B, C * h * w] -> [B, out]
        return torch.unflatten(h, 1, self._sizes) if len(self._sizes) > 1 else h


@component("conv", example={"channels": [4], "hidden": [8]})
class ConvDecoder(Decoder):
    r"""Convolutional decoder: fully connected layers, then transposed convolutions, each of which doubles the image.

    .. math:: h_0 = \phi(\text{mlp}(z)), \qquad h_l = \phi(w_l *^\top h_{l-1})_{\uparrow 2}, \qquad y = h_L

    It mirrors the encoder `conv`; the last convolution has no activation. The kernels are 4x4. The defaults are the
    network of Burgess et al. for 64x64 images.

    Args:
        channels: The input channels of the transposed convolutions.
        hidden: The units of the hidden fully connected layers.
        activation: The nonlinearity :math:`\phi`.

    References: Burgess et al., Understanding disentangling in beta-VAE, 2018, arXiv:1804.03599, appendix A.

    Shapes: ``[B, *in_shape] -> [B, C, H, W]``; ValueError unless the sides can be halved as often as there are
    convolutions.

    >>> import torch, zoo
    >>> decoder = zoo.declare(zoo.Decoder, "conv")(zoo.Shape(10), zoo.Shape(1, 64, 64))
    >>> decoder(torch.ones(5, 10)).shape
    torch.Size([5, 1, 64, 64])
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        channels: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (32, 32, 32, 32),
        hidden: tuple[PositiveInt, ...] = (256, 256),
        activation: Activation = "relu",
    ) -> None:
        super().__init__(in_shape, out_shape)
        h, w = halved(out_shape, len(channels))
        self._start = (channels[0], h, w)
        self.layers = perceptron(in_shape.size, hidden, channels[0] * h * w, activation)
        convolutions: list[nn.Module] = [overwriting(activation)]
        for before, after in pairwise(channels):
            convolutions += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), overwriting(activation)]
        last = nn.ConvTranspose2d(channels[-1], out_shape[0], 4, stride=2, padding=1)
        self.convolutions = nn.Sequential(*convolutions, last)

    def forward(self, z: Tensor) -> Tensor:
        h: Tensor = torch.unflatten(self.layers(z.flatten(1)), 1, self._start)  # [B, C, h, w]
        y: Tensor = self.convolutions(h)
        return y
