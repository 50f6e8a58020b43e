"""Means and variances of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Shape


def places(shape: Shape) -> int:
    """How many numbers of an event a channel has: H W of an image, one of a vector.

    >>> places(Shape(3, 4, 4)), places(Shape(5))
    (16, 1)
    """
    return shape.size // shape[0]


def channel_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance of each channel, ``[B, C, ...] -> [C, 1, ...]``.

    >>> mean, var = channel_moments(torch.tensor([[1.0, 2.0], [3.0, 2.0]]))
    >>> mean.tolist(), var.tolist()
    ([2.0, 2.0], [1.0, 0.0])
    """
    var, mean = torch.var_mean(x, dim=[0, *range(2, x.dim())], correction=0, keepdim=True)
    return mean.squeeze(0), var.squeeze(0)


def element_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance of each element over the batch, ``[B, ...] -> [...]``."""
    var, mean = torch.var_mean(x, dim=0, correction=0)
    return mean, var


def spread(mean: Tensor, var: Tensor) -> Tensor:
    """The standard deviation; one where it is no more than the rounding of a constant.

    >>> spread(torch.tensor([0.0, 5.0]), torch.tensor([4.0, 0.0]))
    tensor([2., 1.])
    """
    std = var.sqrt()
    rounding = 8.0 * torch.finfo(std.dtype).eps * mean.abs()
    return torch.where(std > rounding, std, 1.0)
