"""Generator and discriminator of R3GAN."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu

from zoo import Decoder, Encoder, Shape, component

from .sngan import doublings

GAIN = math.sqrt(2 / (1 + 0.2**2))
"""Of a leaky rectifier with slope 0.2."""
NEAR_ZERO = 0.01
"""Published is 0, at which the first layers of a block have no gradient in the first step."""


def _conv(before: int, after: int, kernel: int, groups: int = 1, gain: float = 1.0) -> nn.Conv2d:
    conv = nn.Conv2d(before, after, kernel, padding=kernel // 2, groups=groups, bias=False)
    fan_in = conv.weight[0].numel()
    nn.init.normal_(conv.weight, 0.0, gain / math.sqrt(fan_in))
    return conv


class Activation(nn.Module):
    """A bias for each channel and a leaky rectifier."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return leaky_relu(x + self.bias.view(-1, 1, 1), 0.2)


class Block(nn.Module):
    """Residual block without normalisation: 1x1 to more channels, grouped 3x3, 1x1 back, which starts near zero."""

    def __init__(self, width: int, expansion: int, groups: int, of: int) -> None:
        """One of ``of`` blocks of a network."""
        super().__init__()
        wide, gain = width * expansion, GAIN * of**-0.25
        self.layers = nn.Sequential(
            _conv(width, wide, 1, gain=gain),
            Activation(wide),
            _conv(wide, wide, 3, groups, gain),
            Activation(wide),
            _conv(wide, width, 1, gain=NEAR_ZERO),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.layers(x)
        return y


class Resample(nn.Module):
    """Doubling or halving of the sides with the low-pass filter [1, 2, 1]."""

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        f = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", torch.outer(f, f).expand(channels, 1, 3, 3).contiguous(), persistent=False)


class Double(Resample):
    def forward(self, x: Tensor) -> Tensor:
        y = conv_transpose2d(x, 4 * self.kernel, stride=2, groups=x.shape[1])
        return y[:, :, :-1, :-1]


class Halve(Resample):
    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.kernel, stride=2, padding=1, groups=x.shape[1])


def _blocks(width: int, blocks: int, expansion: int, groups: int, of: int) -> Iterator[nn.Module]:
    if width * expansion % groups:
        raise ValueError(f"'groups' must divide width times expansion, {width * expansion}, got {groups}")
    yield from (Block(width, expansion, groups, of) for _ in range(blocks))


@component("r3gan", example={"width": 4, "groups": 2, "blocks": 1})
class R3GANDecoder(Decoder):
    r"""Generator of R3GAN: residual blocks of grouped convolutions, without normalisation.

    .. math:: h_0 = B \odot W z, \qquad h_l = \text{blocks}(\mathrm{up}(h_{l-1})), \qquad y = w * h_L

    with learned maps :math:`B`, from 4x4 or the odd side that halving an image ends at: 7 of 28. Each block starts near
    the identity. For 3x32x32 and 64 numbers of noise it has 20,732,160 parameters at a width of 768, 96 groups and two
    blocks a size.

    Args:
        width: The channels at all sizes.
        blocks: The number of residual blocks at each size.
        groups: The groups of a 3x3 convolution.
        expansion: The channels within a block, as a multiple of the width.

    References: Huang et al., The GAN is dead; long live the GAN! A Modern Baseline GAN, 2024, arXiv:2501.05441,
    section 3 and appendix.

    Shapes: ``[B, *in_shape] -> [B, C, H, H]``; ValueError for other images.

    >>> import zoo
    >>> node = {"type": "r3gan", "width": 4, "groups": 2}
    >>> zoo.declare(zoo.Decoder, node)(zoo.Shape(6), zoo.Shape(1, 28, 28))(torch.ones(5, 6)).shape
    torch.Size([5, 1, 28, 28])
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        width: PositiveInt = 768,
        blocks: PositiveInt = 2,
        groups: PositiveInt = 96,
        expansion: PositiveInt = 2,
    ) -> None:
        super().__init__(in_shape, out_shape)
        times = doublings(out_shape)
        side = out_shape[1] >> times
        self.basis = nn.Parameter(torch.randn(width, side, side))
        self.linear = nn.Linear(in_shape.size, width, bias=False)
        nn.init.normal_(self.linear.weight, 0.0, in_shape.size**-0.5)
        layers: list[nn.Module] = [*_blocks(width, blocks, expansion, groups, blocks * (times + 1))]
        for _ in range(times):
            layers += [Double(width), *_blocks(width, blocks, expansion, groups, blocks * (times + 1))]
        self.layers = nn.Sequential(*layers, _conv(width, out_shape[0], 1))

    def forward(self, z: Tensor) -> Tensor:
        y: Tensor = self.layers(self.basis * self.linear(z.flatten(1))[:, :, None, None])  # [B, C, H, H]
        return y


@component("r3gan", example={"width": 4, "groups": 2, "blocks": 1})
class R3GANEncoder(Encoder):
    r"""Discriminator of R3GAN: the mirror image of its generator.

    .. math:: h_0 = w * x, \qquad h_l = \mathrm{down}(\text{blocks}(h_{l-1})), \qquad
       y = W \sum_{ij} B_{ij} \odot \text{blocks}(h_L)_{ij}

    For 3x32x32 and one number it has 20,683,776 parameters at a width of 768, 96 groups and two blocks a size. It goes
    with the penalties `r1` and `r2`.

    Args:
        width: The channels at all sizes.
        blocks: The number of residual blocks at each size.
        groups: The groups of a 3x3 convolution.
        expansion: The channels within a block, as a multiple of the width.

    References: Huang et al., The GAN is dead; long live the GAN! A Modern Baseline GAN, 2024, arXiv:2501.05441,
    section 3 and appendix.

    Shapes: ``[B, C, H, H] -> [B, *out_shape]``; ValueError for other images.

    >>> import zoo
    >>> node = {"type": "r3gan", "width": 4, "groups": 2}
    >>> zoo.declare(zoo.Encoder, node)(zoo.Shape(1, 28, 28), zoo.Shape(1))(torch.ones(5, 1, 28, 28)).shape
    torch.Size([5, 1])
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        width: PositiveInt = 768,
        blocks: PositiveInt = 2,
        groups: PositiveInt = 96,
        expansion: PositiveInt = 2,
    ) -> None:
        super().__init__(in_shape, out_shape)
        times = doublings(in_shape)
        side = in_shape[1] >> times
        layers: list[nn.Module] = [_conv(in_shape[0], width, 1)]
        for _ in range(times):
            layers += [*_blocks(width, blocks, expansion, groups, blocks * (times + 1)), Halve(width)]
        layers += _blocks(width, blocks, expansion, groups, blocks * (times + 1))
        basis = nn.Conv2d(width, width, side, groups=width, bias=False)
        nn.init.normal_(basis.weight, 0.0, 1 / side)
        self.layers = nn.Sequential(*layers, basis)
        self.linear = nn.Linear(width, out_shape.size, bias=False)
        nn.init.normal_(self.linear.weight, 0.0, width**-0.5)
        self._sizes = tuple(out_shape)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.linear(self.layers(x).flatten(1))  # [B, out]
        return torch.unflatten(h, 1, self._sizes) if len(self._sizes) > 1 else h
