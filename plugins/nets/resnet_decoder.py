"""Residual decoder."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from zoo import Decoder, Shape, component

from .activation import Activation
from .residual_stack import residual_stack
from .scales import halvings


@component("resnet", example={"width": 4, "blocks": 1})
class ResNetDecoder(Decoder):
    r"""One layer that spreads the code, and residual blocks before each convolution that doubles the image.

    .. math:: h_0 = W z + b, \qquad h_l = (w_l *^\top \phi(\text{blocks}(h_{l-1})))_{\uparrow 2}, \qquad y = h_L

    The encoder of this name backwards. From a code that is a map ``[C, h, w]`` the doublings follow from the sizes, and
    :math:`W` is a 1x1 convolution; from any other it is fully connected, and there are ``levels`` doublings, or as many
    as start from even sides above four. ``width`` is that of all convolutions but the last, 4x4 where they double;
    ``blocks`` are those of each size, with the ``activation`` :math:`\phi` in them too. Without a doubling the last
    convolution is 3x3.

    References: van den Oord et al., Neural Discrete Representation Learning, 2017, arXiv:1711.00937, sec. 4.1.

    Shapes: ``[B, *in_shape] -> [B, C', H, W]``; ValueError unless sides halve evenly, and for a map of other sizes.

    >>> import torch, zoo
    >>> decoder = zoo.declare(zoo.Decoder, {"type": "resnet", "width": 8})(zoo.Shape(16, 8, 8), zoo.Shape(3, 32, 32))
    >>> decoder(torch.ones(5, 16, 8, 8)).shape
    torch.Size([5, 3, 32, 32])
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        width: PositiveInt = 128,
        blocks: PositiveInt = 2,
        levels: NonNegativeInt | None = None,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(in_shape, out_shape)
        times = halvings(out_shape, in_shape, levels)
        h, w = out_shape[1] >> times, out_shape[2] >> times
        is_map = len(in_shape) == 3
        self.first = nn.Conv2d(in_shape[0], width, 1) if is_map else nn.Linear(in_shape.size, width * h * w)
        self.convolutions = nn.Sequential(*_up(out_shape[0], times, width, blocks, activation))
        self._start = None if is_map else (width, h, w)

    def forward(self, z: Tensor) -> Tensor:
        if self._start is None:
            y: Tensor = self.convolutions(self.first(z))
            return y
        spread: Tensor = self.convolutions(torch.unflatten(self.first(z.flatten(1)), 1, self._start))
        return spread


def _up(channels: int, times: int, width: int, blocks: int, phi: Activation) -> Iterator[nn.Module]:
    for level in range(1, times + 1):
        yield from residual_stack(width, blocks, phi)
        yield nn.ConvTranspose2d(width, channels if level == times else width, 4, stride=2, padding=1)
    if times == 0:
        yield from residual_stack(width, blocks, phi)
        yield nn.Conv2d(width, channels, 3, padding=1)
