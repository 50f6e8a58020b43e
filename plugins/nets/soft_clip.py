"""Logarithms of scales that cannot fall without end."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus


def soft_clip(log_scale: Tensor, floor: float) -> Tensor:
    r""":math:`\operatorname{softplus}(\log s - f) + f`: itself far above the floor :math:`f`, never below it.

    Unlike a clamp it has a slope everywhere, so that what fell below can come back.

    References: Rybkin et al., Simple and Effective VAE Training with Calibrated Decoders, 2021, arXiv:2006.13202.

    >>> import torch
    >>> soft_clip(torch.tensor([-100.0, -6.0, 4.0]), -6.0)
    tensor([-6.0000, -5.3069,  4.0000])
    """
    return softplus(log_scale - floor) + floor
