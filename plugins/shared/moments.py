"""Means and deviations of a batch of any scale, in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Shape


def places(shape: Shape) -> int:
    """The size of a channel: H W for an image, one for a vector.

    >>> places(Shape(3, 4, 4)), places(Shape(5))
    (16, 1)
    """
    return shape.size // shape[0]


def channel_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance of each channel, ``[B, C, ...] -> [C, 1, ...]``, in float64.

    >>> mean, var = channel_moments(torch.tensor([[1.0, 2.0], [3.0, 2.0]]))
    >>> mean.tolist(), var.tolist()
    ([2.0, 2.0], [1.0, 0.0])
    """
    var, mean = torch.var_mean(_wide(x), dim=[0, *range(2, x.dim())], correction=0, keepdim=True)
    return mean.squeeze(0), var.squeeze(0)


def element_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance of each element over the batch, ``[B, ...] -> [...]``, in float64."""
    var, mean = torch.var_mean(_wide(x), dim=0, correction=0)
    return mean, var


def spread(mean: Tensor, var: Tensor, dtype: torch.dtype, constant: float = 1.0) -> Tensor:
    """The standard deviation; ``constant`` if it is within the rounding error of a constant in ``dtype``.

    >>> spread(torch.tensor([0.0, 5.0]), torch.tensor([4.0, 0.0]), torch.float32)
    tensor([2., 1.])
    """
    std = var.sqrt()
    rounding = 8.0 * torch.finfo(dtype).eps * mean.abs()
    return torch.where(std > rounding, std, constant)


def _wide(x: Tensor) -> Tensor:
    """The batch in float64, since float32 has no squares of numbers below 1e-23 or beyond 1.8e19; unchanged on MPS."""
    return x if x.device.type == "mps" else x.double()
