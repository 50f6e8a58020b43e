"""Residual generator and discriminator of SNGAN."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from zoo import Decoder, Encoder, Shape, TakesContext, component

from ...nets.batch_norm import BatchNorm

SMALLEST = 4


def doublings(image: Shape) -> int:
    """The number of times that the sides of an image are halved while they are even and above four, at least once;
    ValueError if it is not a square that can be halved.

    >>> doublings(Shape(3, 32, 32)), doublings(Shape(1, 28, 28))
    (3, 2)
    """
    if len(image) != 3 or image[1] != image[2] or image[1] % 2 or image[1] < SMALLEST:
        raise ValueError(f"needs square images [C, H, H] with an even side of {SMALLEST} or more, got {image}")
    times, side = 0, image[1]
    while side % 2 == 0 and (side > SMALLEST or times == 0):
        times, side = times + 1, side // 2
    return times


class UpBlock(nn.Module):
    """Residual block that doubles the sides: ``[B, C, H, W] -> [B, width, 2 H, 2 W]``."""

    def __init__(self, before: int, width: int, context: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(BatchNorm(w, context) for w in (before, width))
        self.convs = nn.ModuleList(nn.Conv2d(w, width, 3, padding=1) for w in (before, width))
        self.shortcut = nn.Conv2d(before, width, 1)

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        h = self.convs[0](interpolate(self.norms[0](x, context).relu(), scale_factor=2.0))
        h = self.convs[1](self.norms[1](h, context).relu())
        y: Tensor = h + self.shortcut(interpolate(x, scale_factor=2.0))
        return y


class DownBlock(nn.Module):
    """Residual block that may halve the sides: ``[B, C, H, W] -> [B, width, H / 2, W / 2]``.

    The first of a network does not rectify its input, and halves it before the 1x1 convolution of the shortcut.
    """

    def __init__(self, before: int, width: int, halves: bool, first: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(before, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)])
        self.shortcut = nn.Conv2d(before, width, 1) if halves or before != width else None
        self._halves, self._first = halves, first

    def forward(self, x: Tensor) -> Tensor:
        h = self.convs[1](self.convs[0](x if self._first else x.relu()).relu())
        if self.shortcut is None:
            plain: Tensor = x + h
            return plain
        if not self._halves:
            wider: Tensor = self.shortcut(x) + h
            return wider
        # A 1x1 convolution and the mean commute: the smaller image goes through it.
        y: Tensor = avg_pool2d(h, 2) + self.shortcut(avg_pool2d(x, 2))
        return y


@component("sngan", example={"width": 4})
class SNGANDecoder(Decoder, TakesContext):
    r"""Residual generator of SNGAN: blocks that double the image, with batch normalisation.

    .. math:: h_0 = W z, \qquad h_l = \mathrm{up}(h_{l-1}) * w + \mathrm{conv}(\phi(\mathrm{BN}(\dots))), \qquad
       y = w * \phi(\mathrm{BN}(h_L))

    with ReLU as :math:`\phi`. It starts from 4x4, or from the odd side that halving an image ends at: 7 of 28. Given a
    context, the normalisation of the blocks is conditional, that before the output is not. For 3x32x32 and 128 numbers
    of noise it has 4,276,739 parameters, with a context of ten classes 4,304,387.

    Args:
        width: The channels of all layers.
        context: The size of a context that the batch normalisation of the blocks is conditioned on; 0 for none.

    References: Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018, arXiv:1802.05957,
    table 4; sizes and counts are those of mimicry, arXiv:2005.02494.

    Shapes: ``[B, *in_shape] -> [B, C, H, H]``; ValueError for other images.

    >>> import zoo
    >>> decoder = zoo.declare(zoo.Decoder, {"type": "sngan", "width": 4})(zoo.Shape(6), zoo.Shape(1, 28, 28))
    >>> decoder(torch.ones(5, 6)).shape
    torch.Size([5, 1, 28, 28])
    """

    def __init__(
        self, in_shape: Shape, out_shape: Shape, *, width: PositiveInt = 256, context: NonNegativeInt = 0
    ) -> None:
        super().__init__(in_shape, out_shape)
        self.context = context
        times = doublings(out_shape)
        side = out_shape[1] >> times
        self.first = nn.Linear(in_shape.size, width * side * side)
        self.blocks = nn.ModuleList(UpBlock(width, width, context) for _ in range(times))
        self.norm = BatchNorm(width)
        self.last = nn.Conv2d(width, out_shape[0], 3, padding=1)
        self._start = (width, side, side)
        _start(self)

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        h: Tensor = torch.unflatten(self.first(z.flatten(1)), 1, self._start)  # [B, width, side, side]
        for block in self.blocks:
            h = block(h, context)
        y: Tensor = self.last(self.norm(h).relu())
        return y


@component("sngan", example={"width": 4})
class SNGANEncoder(Encoder):
    r"""Residual discriminator of SNGAN: two blocks that halve the image, further blocks, and a sum over all places.

    .. math:: h_l = \mathrm{down}(h_{l-1}) * w + \mathrm{conv}(\phi(\dots)), \qquad y = W \sum_{ij} \phi(h_L)_{ij} + b

    with ReLU as :math:`\phi` and no normalisation: ``{type: spectral, of: sngan}`` is the discriminator of SNGAN. For
    3x32x32 and one number it has 1,053,825 parameters. With ``last: none`` the sums themselves are the output, as many
    as the width: the features of a `projection` head, with which it has 1,055,105 for ten classes.

    Args:
        width: The channels of all layers.
        blocks: The number of blocks.
        last: ``linear`` for a linear map of the sums, ``none`` for the sums.

    References: Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018, arXiv:1802.05957,
    table 4; sizes and counts are those of mimicry, arXiv:2005.02494.

    Shapes: ``[B, C, H, H] -> [B, *out_shape]``; ValueError for other images, and without a last layer for an output of
    another size than the width.

    >>> import zoo
    >>> encoder = zoo.declare(zoo.Encoder, {"type": "sngan", "width": 4})(zoo.Shape(1, 28, 28), zoo.Shape(1))
    >>> encoder(torch.ones(5, 1, 28, 28)).shape
    torch.Size([5, 1])
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        width: PositiveInt = 128,
        blocks: PositiveInt = 4,
        last: Literal["linear", "none"] = "linear",
    ) -> None:
        super().__init__(in_shape, out_shape)
        doublings(in_shape)
        if in_shape[1] % 4:
            raise ValueError(f"halves the sides twice: they must be multiples of 4, got {in_shape}")
        if last == "none" and tuple(out_shape) != (width,):
            raise ValueError(f"without a last layer the output has {width} numbers, the width, got {out_shape}")
        self.blocks = nn.Sequential(
            *(DownBlock(width if i else in_shape[0], width, halves=i < 2, first=i == 0) for i in range(blocks))
        )
        self.last = nn.Linear(width, out_shape.size) if last == "linear" else None
        self._sizes = tuple(out_shape)
        _start(self)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.blocks(x).relu().sum((2, 3))  # [B, width]
        h = h if self.last is None else self.last(h)
        return torch.unflatten(h, 1, self._sizes) if len(self._sizes) > 1 else h


def _start(net: nn.Module) -> None:
    for part in net.modules():
        if isinstance(part, nn.Conv2d | nn.Linear) and part.bias is not None:
            gain = 1.0 if part.weight.shape[-1] == 1 or isinstance(part, nn.Linear) else 2**0.5
            nn.init.xavier_uniform_(part.weight, gain)
            nn.init.zeros_(part.bias)
