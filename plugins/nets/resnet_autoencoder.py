"""Residual encoder and decoder."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from zoo import Decoder, Encoder, Shape, component

from .activations import Activation
from .conv_autoencoder import halved
from .resnet import residual_stack

SMALLEST = 4
"""The side at which halving ends by default."""


def halvings(image: Shape, code: Shape, levels: int | None) -> int:
    """The number of halvings from an image to a code: to the size of a code that is a map ``[C, h, w]``, else
    ``levels``.

    Without ``levels`` an image is halved on the way to a vector while its sides are even and above four. ValueError if
    the sides of a map are not those of the image after equal halvings, or their number is not ``levels``.

    >>> halvings(Shape(3, 32, 32), Shape(64, 8, 8), None), halvings(Shape(1, 28, 28), Shape(16), None)
    (2, 2)
    """
    if len(code) != 3:
        times = _deepest(image) if levels is None else levels
        halved(image, times)
        return times
    times = (image[1] // code[1]).bit_length() - 1 if len(image) == 3 else 0
    if times < 0 or halved(image, times) != tuple(code)[1:]:
        raise ValueError(f"halves sides, but no number of halvings leads from {image} to {code}")
    if levels is not None and levels != times:
        raise ValueError(f"'levels' is {levels}, but {image} is halved {times} times to {code}: leave it out")
    return times


def _deepest(image: Shape) -> int:
    times, sides = 0, tuple(image)[1:]
    while len(sides) == 2 and all(side % 2 == 0 and side > SMALLEST for side in sides):
        times, sides = times + 1, tuple(side // 2 for side in sides)
    return times


@component("resnet", example={"width": 4, "blocks": 1})
class ResNetEncoder(Encoder):
    r"""Residual encoder: convolutions that halve the image, each followed by residual blocks, and one output layer.

    .. math:: h_0 = x, \qquad h_l = \phi(\text{blocks}((w_l * h_{l-1})_{\downarrow 2})), \qquad y = W h_L + b

    For a code that is a map ``[C', h, w]`` the number of halvings follows from the sizes, and :math:`W` is a 1x1
    convolution. For any other code :math:`W` is fully connected. Convolutions that halve are 4x4; without a halving the
    first convolution is 3x3.

    Args:
        width: The channels of all convolutions.
        blocks: The number of residual blocks at each size.
        levels: The number of halvings before a code that is not a map; ``null`` halves while sides are even and
            above four.
        activation: The nonlinearity :math:`\phi`, also within the blocks.

    References: van den Oord et al., Neural Discrete Representation Learning, 2017, arXiv:1711.00937, sec. 4.1.

    Shapes: ``[B, C, H, W] -> [B, *out_shape]``; ValueError unless the sides can be halved, and for a map of other
    sizes.

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
        return torch.unflatten(self.last(h.flatten(1)), 1, self._sizes)  # [B, width, h, w] -> [B, *out_shape]


def _down(channels: int, times: int, width: int, blocks: int, phi: Activation) -> Iterator[nn.Module]:
    if times == 0:
        yield nn.Conv2d(channels, width, 3, padding=1)
        yield from residual_stack(width, blocks, phi)
    for level in range(times):
        yield nn.Conv2d(width if level else channels, width, 4, stride=2, padding=1)
        yield from residual_stack(width, blocks, phi)


@component("resnet", example={"width": 4, "blocks": 1})
class ResNetDecoder(Decoder):
    r"""Residual decoder: one input layer, and residual blocks before each convolution that doubles the image.

    .. math:: h_0 = W z + b, \qquad h_l = (w_l *^\top \phi(\text{blocks}(h_{l-1})))_{\uparrow 2}, \qquad y = h_L

    It mirrors the encoder `resnet`. For a code that is a map ``[C, h, w]`` the number of doublings follows from the
    sizes, and :math:`W` is a 1x1 convolution. For any other code :math:`W` is fully connected. Convolutions that double
    are 4x4; without a doubling the last convolution is 3x3.

    Args:
        width: The channels of all convolutions but the last.
        blocks: The number of residual blocks at each size.
        levels: The number of doublings after a code that is not a map; ``null`` for as many as the encoder has
            halvings.
        activation: The nonlinearity :math:`\phi`, also within the blocks.

    References: van den Oord et al., Neural Discrete Representation Learning, 2017, arXiv:1711.00937, sec. 4.1.

    Shapes: ``[B, *in_shape] -> [B, C', H, W]``; ValueError unless the sides can be halved, and for a map of other
    sizes.

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
