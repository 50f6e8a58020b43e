"""Generator and discriminator of DCGAN."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from zoo import Decoder, Encoder, Shape, component

from ...nets.batch_norm import BatchNorm

SEED = 4
"""The side from which images are doubled."""
LARGEST = 8
"""The widest layer has this many times the channels of the narrowest."""


def sides(image: Shape) -> list[int]:
    """The sides of feature maps from the smallest, at most 4, to that of an image; ValueError unless it is square.

    A side is half of the next one, rounded up: 4, 7, 14, 28. There are at least two.

    >>> sides(Shape(3, 64, 64)), sides(Shape(1, 28, 28))
    ([4, 8, 16, 32, 64], [4, 7, 14, 28])
    """
    if len(image) != 3 or image[1] != image[2] or image[1] < SEED:
        raise ValueError(f"needs square images [C, H, H] with a side of {SEED} or more, got {image}")
    found = [image[1]]
    while found[0] > SEED or len(found) == 1:
        found.insert(0, -(-found[0] // 2))
    return found


def widths(count: int, width: int) -> list[int]:
    """The channels of the feature maps from the smallest one: halved at each doubling, the last of them ``width``.

    >>> widths(4, 64)
    [512, 256, 128, 64]
    """
    return [width * min(2 ** (count - 1 - i), LARGEST) for i in range(count)]


def _start(net: nn.Module) -> None:
    for part in net.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(part.weight, 0.0, 0.02)
        elif isinstance(part, BatchNorm) and part.weight is not None:
            nn.init.normal_(part.weight, 1.0, 0.02)


@component("dcgan", example={"width": 4})
class DCGANDecoder(Decoder):
    r"""Generator of DCGAN: transposed convolutions of stride two, with batch normalisation.

    .. math:: h_0 = \phi(\mathrm{BN}(W z)), \qquad h_l = \phi(\mathrm{BN}((w_l *^\top h_{l-1})_{\uparrow 2})), \qquad
       y = (w_L *^\top h_{L-1})_{\uparrow 2}

    with ReLU as :math:`\phi`. Kernels are 4x4. The hyperbolic tangent is the model's: `gan` has it for bounded data.
    Weights start as normal noise of standard deviation 0.02. For 3x64x64 and 100 numbers of noise it has 3,576,704
    parameters at a width of 64.

    Args:
        width: The channels of the last hidden layer, doubled at each halving of the side, up to eight times.

    References: Radford et al., Unsupervised Representation Learning with DCGANs, 2015, arXiv:1511.06434; the layers are
    those of pytorch/examples.

    Shapes: ``[B, *in_shape] -> [B, C, H, H]``; ValueError for other images.

    >>> import zoo
    >>> decoder = zoo.declare(zoo.Decoder, {"type": "dcgan", "width": 4})(zoo.Shape(6), zoo.Shape(1, 28, 28))
    >>> decoder(torch.ones(5, 6)).shape
    torch.Size([5, 1, 28, 28])
    """

    def __init__(self, in_shape: Shape, out_shape: Shape, *, width: PositiveInt = 64) -> None:
        super().__init__(in_shape, out_shape)
        sizes = sides(out_shape)
        channels = widths(len(sizes) - 1, width)
        first = nn.ConvTranspose2d(in_shape.size, channels[0], sizes[0], bias=False)
        layers: list[nn.Module] = [first, BatchNorm(channels[0]), nn.ReLU(inplace=True)]
        for before, after, side, wanted in zip(channels, channels[1:], sizes, sizes[1:], strict=False):
            layers += [_doubling(before, after, side, wanted), BatchNorm(after), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, _doubling(channels[-1], out_shape[0], *sizes[-2:]))
        _start(self)

    def forward(self, z: Tensor) -> Tensor:
        y: Tensor = self.layers(z.flatten(1)[:, :, None, None])  # [B, D, 1, 1] -> [B, C, H, H]
        return y


def _doubling(before: int, after: int, side: int, wanted: int) -> nn.ConvTranspose2d:
    """A transposed convolution of stride two, to twice the side or one less."""
    kernel = 4 if wanted == 2 * side else 3
    return nn.ConvTranspose2d(before, after, kernel, stride=2, padding=1, bias=False)


@component("dcgan", example={"width": 4})
class DCGANEncoder(Encoder):
    r"""Discriminator of DCGAN: convolutions of stride two, with batch normalisation of all but the first.

    .. math:: h_1 = \phi((w_1 * x)_{\downarrow 2}), \qquad h_l = \phi(\mathrm{BN}((w_l * h_{l-1})_{\downarrow 2})),
       \qquad y = W h_L

    with leaky ReLU of slope 0.2 as :math:`\phi`. Kernels are 4x4. Weights start as normal noise of standard deviation
    0.02. For 3x64x64 and one number it has 2,765,568 parameters at a width of 64. Gradient penalties and spectral norms
    go with ``norm: none``.

    Args:
        width: The channels of the first layer, doubled at each halving of the side, up to eight times.
        norm: ``batch``, or ``none``.

    References: Radford et al., Unsupervised Representation Learning with DCGANs, 2015, arXiv:1511.06434; the layers are
    those of pytorch/examples.

    Shapes: ``[B, C, H, H] -> [B, *out_shape]``; ValueError for other images.

    >>> import zoo
    >>> encoder = zoo.declare(zoo.Encoder, {"type": "dcgan", "width": 4})(zoo.Shape(1, 28, 28), zoo.Shape(1))
    >>> encoder(torch.ones(5, 1, 28, 28)).shape
    torch.Size([5, 1])
    """

    def __init__(
        self, in_shape: Shape, out_shape: Shape, *, width: PositiveInt = 64, norm: Literal["batch", "none"] = "batch"
    ) -> None:
        super().__init__(in_shape, out_shape)
        sizes = sides(in_shape)[::-1]
        channels = [in_shape[0], *widths(len(sizes) - 1, width)[::-1]]
        layers: list[nn.Module] = []
        for level, (before, after) in enumerate(pairwise(channels)):
            kernel = 4 - sizes[level] % 2
            layers.append(nn.Conv2d(before, after, kernel, stride=2, padding=1, bias=norm == "none"))
            layers += [BatchNorm(after)] if norm == "batch" and level else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        last = nn.Conv2d(channels[-1], out_shape.size, sizes[-1], bias=False)
        self.layers = nn.Sequential(*layers, last)
        self._sizes = tuple(out_shape)
        _start(self)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.layers(x).flatten(1)  # [B, out]
        return torch.unflatten(h, 1, self._sizes) if len(self._sizes) > 1 else h
