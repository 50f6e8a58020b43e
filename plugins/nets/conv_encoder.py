"""Convolutional encoder."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from zoo import Encoder, Shape, component

from .activation import Activation, overwriting
from .halvings import halved
from .perceptron import perceptron


@component("conv", example={"channels": [4], "hidden": [8]})
class ConvEncoder(Encoder):
    r"""Strided convolutions, each halving the image, and fully connected layers.

    .. math:: h_0 = x, \qquad h_l = \phi(w_l * h_{l-1})_{\downarrow 2}, \qquad y = \text{mlp}(h_L)

    with :math:`\phi` the ``activation``. The kernels are 4x4; ``channels`` are those of the convolutions, ``hidden``
    the units of the fully connected layers. The defaults are the network of Burgess et al. for 64x64 images.

    References: Burgess et al., Understanding disentangling in beta-VAE, 2018, arXiv:1804.03599, appendix A.

    Shapes: ``[B, C, H, W] -> [B, *out_shape]``; ValueError unless every convolution finds even sides.

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
        h: Tensor = self.layers(self.convolutions(x).flatten(1))
        return torch.unflatten(h, 1, self._sizes) if len(self._sizes) > 1 else h
