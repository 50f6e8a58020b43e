"""Nonlinearity of both signs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import elu


def concat_elu(x: Tensor) -> Tensor:
    """ELU of the channels and of their negatives: ``[B, C, ...] -> [B, 2 C, ...]``.

    References: Shang et al., Concatenated Rectified Linear Units, 2016, arXiv:1603.05201; with ELU in PixelCNN++.

    >>> concat_elu(torch.tensor([[2.0, 0.0]]))
    tensor([[ 2.0000,  0.0000, -0.8647, -0.0000]])
    """
    return elu(torch.cat([x, -x], dim=1))
