"""Squeeze: space to channels."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from zoo import Bijection, Shape, component

from .per_sample import per_sample


@component("squeeze")
class Squeeze(Bijection):
    r"""Squeeze: each 2x2 block of pixels becomes one pixel with four times the channels.

    .. math:: z_{4c + 2i + j,\, h,\, w} = x_{c,\, 2h + i,\, 2w + j}

    a permutation, so that the log-determinant is zero.

    References: Dinh et al., Density estimation using Real NVP, 2017, arXiv:1605.08803, sec. 3.6 and fig. 3.

    Shapes: ``[B, C, H, W] -> [B, 4C, H/2, W/2]``; ValueError unless H and W are even.

    >>> import torch, zoo
    >>> squeeze = zoo.declare(zoo.Bijection, "squeeze")(zoo.Shape(1, 2, 2))
    >>> squeeze(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))[0].flatten().tolist()
    [1.0, 2.0, 3.0, 4.0]
    """

    def __init__(self, shape: Shape) -> None:
        if len(shape) != 3:
            raise ValueError(f"needs an image [C, H, W], not {shape}")
        C, H, W = shape
        if H % 2 or W % 2:
            raise ValueError(f"needs an even height and width, not {H}x{W}")
        super().__init__(shape, Shape(4 * C, H // 2, W // 2))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return pixel_unshuffle(x, 2), per_sample(x.new_zeros(()), x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return pixel_shuffle(z, 2), per_sample(z.new_zeros(()), z)
