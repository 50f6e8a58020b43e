"""Residual encoder."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from zoo import Encoder, Shape, component

from .activation import Activation
from .residual_stack import residual_stack
from .scales import halvings


@component("resnet", example={"width": 4, "blocks": 1})
class ResNetEncoder(Encoder):
    r"""Convolutions that halve the image, each followed by residual blocks, and one layer that makes the code.

    .. math:: h_0 = x, \qquad h_l = \phi(\text{blocks}((w_l * h_{l-1})_{\downarrow 2})), \qquad y = W h_L + b

    To a code that is a map ``[C', h, w]`` the halvings follow from the sizes, and :math:`W` is a 1x1 convolution: each
    place of the map stands for one of the image. To any other code :math:`W` is fully connected, after ``levels``
    halvings, or as many as leave even sides above four. ``width`` is that of all convolutions, 4x4 where they halve;
    ``blocks`` are those of each size, with the ``activation`` :math:`\phi` in them too. Without a halving the first
    convolution is 3x3.

    References: van den Oord et al., Neural Discrete Representation Learning, 2017, arXiv:1711.00937, sec. 4.1.

    Shapes: ``[B, C, H, W] -> [B, *out_shape]``; ValueError unless sides halve evenly, and for a map of other sizes.

    >>> import torch, zoo
    >>> encoder = zoo.declare(zoo.Encoder, {"type": "resnet", "width": 8})(zoo.Shape(3, 32, 32), zoo.Shape(16, 8, 8))
    >>> encoder(torch.ones(5, 3, 32, 32)).shape
    torch.Size([5, 16, 8, 8])
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
        times = halvings(in_shape, out_shape, levels)
        self.convolutions = nn.Sequential(*_down(in_shape[0], times, width, blocks, activation))
        is_map = len(out_shape) == 3
        size = width * (in_shape[1] >> times) * (in_shape[2] >> times)
        self.last = nn.Conv2d(width, out_shape[0], 1) if is_map else nn.Linear(size, out_shape.size)
        self._sizes = None if is_map else tuple(out_shape)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.convolutions(x)
        if self._sizes is None:
            y: Tensor = self.last(h)
            return y
        return torch.unflatten(self.last(h.flatten(1)), 1, self._sizes)


def _down(channels: int, times: int, width: int, blocks: int, phi: Activation) -> Iterator[nn.Module]:
    if times == 0:
        yield nn.Conv2d(channels, width, 3, padding=1)
        yield from residual_stack(width, blocks, phi)
    for level in range(times):
        yield nn.Conv2d(width if level else channels, width, 4, stride=2, padding=1)
        yield from residual_stack(width, blocks, phi)
