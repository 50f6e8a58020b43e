"""Patch embeddings of images and clips, and their inverse."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Literal

import torch
from torch import Tensor, nn

Order = Literal["channels_first", "channels_last"]


def cut(x: Tensor, size: Sequence[int], *, order: Order = "channels_first") -> Tensor:
    """The patches of images or clips in raster order, each as a vector.

    The numbers of a patch go by channel, then (frame,) row and column, as those of the weight of a convolution; with
    ``channels_last`` the channels of a pixel stand together, as MAE has its targets.

    Shapes: ``[B, C, H, W]`` and a size ``(h, w)``, or ``[B, T, C, H, W]`` and ``(t, h, w)``, to ``[B, N, C * size]``.

    >>> cut(torch.arange(8).reshape(1, 1, 2, 4), (2, 2)).tolist()
    [[[0, 1, 4, 5], [2, 3, 6, 7]]]
    """
    x = x.movedim(-3, 1)  # [B, C, (T,) H, W]
    axes = len(size)
    for axis in reversed(range(axes)):
        x = torch.unflatten(x, 2 + axis, (-1, size[axis]))  # [B, C, n1, s1, n2, s2]
    counts, sizes = range(2, 2 + 2 * axes, 2), range(3, 2 + 2 * axes, 2)
    x = x.permute(0, *counts, *((1, *sizes) if order == "channels_first" else (*sizes, 1)))
    return x.flatten(1 + axes).flatten(1, axes)  # [B, N, C * size]


def join(patches: Tensor, size: Sequence[int], grid: Sequence[int], *, order: Order = "channels_first") -> Tensor:
    """The images or clips of these patches: the inverse of `cut`, for a grid of patches.

    >>> x = torch.randn(2, 3, 5, 4, 6)  # three frames of five channels
    >>> torch.equal(join(cut(x, (1, 2, 3)), (1, 2, 3), (3, 2, 2)), x)
    True
    """
    axes = len(size)
    channels = patches.shape[2] // prod(size)
    within = (channels, *size) if order == "channels_first" else (*size, channels)
    x = torch.unflatten(torch.unflatten(patches, 2, within), 1, grid)  # [B, n1, n2, C, s1, s2]
    channel, first = (1 + axes, 2 + axes) if order == "channels_first" else (1 + 2 * axes, 1 + axes)
    x = x.permute(0, channel, *(i for axis in range(axes) for i in (1 + axis, first + axis)))
    for axis in range(axes):
        x = x.flatten(2 + axis, 3 + axis)
    return x.movedim(1, -3)  # [B, (T,) C, H, W]


class Patches(nn.Module):
    r"""Patch embedding: a token for each patch of an image or a clip, :math:`z_n = W x_n + b`.

    It is a convolution whose stride is its kernel size. ``proj`` of some patches of `cut` computes only their tokens,
    so that a masked model computes only the visible ones.

    Args:
        shape: Of the data, ``(C, H, W)`` or ``(T, C, H, W)``.
        size: Of a patch, ``(h, w)`` or ``(t, h, w)``.
        width: Channels of a token.
        bias: Whether there is a b.

    References: Dosovitskiy et al., An Image is Worth 16x16 Words, 2020, arXiv:2010.11929, eq. 1; Tong et al.,
    VideoMAE, 2022, arXiv:2203.12602, sec. 3.3 (tubes).

    Shapes: ``[B, *shape] -> [B, N, width]``; ValueError for data that cannot be divided into whole patches.

    >>> patches = Patches((3, 8, 8), (4, 4), 16)
    >>> patches.grid, patches(torch.zeros(1, 3, 8, 8)).shape
    ((2, 2), torch.Size([1, 4, 16]))
    """

    def __init__(self, shape: Sequence[int], size: Sequence[int], width: int, *, bias: bool = True) -> None:
        super().__init__()
        if len(shape) != len(size) + 1 or len(size) not in (2, 3):
            raise ValueError(
                f"patches of images [C, H, W] have a size (h, w), those of clips [T, C, H, W] (t, h, w): got "
                f"{list(shape)} and {tuple(size)}"
            )
        *time, channels, H, W = shape
        extent = (*time, H, W)
        if any(whole % part for whole, part in zip(extent, size, strict=True)):
            raise ValueError(f"{extent} is not divisible into patches of {tuple(size)}")
        self.size = tuple(size)
        self.grid = tuple(whole // part for whole, part in zip(extent, size, strict=True))
        self.proj = nn.Linear(channels * prod(size), width, bias)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.proj(cut(x, self.size))  # [B, N, width]
        return z
