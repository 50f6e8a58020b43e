"""Additive transformer."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import component

from .transformer import Transformer


@component("additive")
class Additive(Transformer):
    r"""Additive map: a shift, which keeps volume.

    .. math:: y = x + h

    so that :math:`\log|\partial y / \partial x| = 0`.

    References: Dinh et al., NICE: Non-linear Independent Components Estimation, 2015, arXiv:1410.8516, eq. 6.

    >>> import torch, zoo
    >>> from zoo.plugins.flows.transformer import Transformer
    >>> additive = zoo.declare(Transformer, "additive")()
    >>> y, log_slope = additive(torch.ones(1, 2), torch.tensor([[[0.5, 2.0]]]))
    >>> y.tolist(), log_slope.tolist()
    ([[1.5, 3.0]], [[0.0, 0.0]])
    """

    count = 1

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return x + h.squeeze(1), torch.zeros_like(x)

    def inverse(self, y: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return y - h.squeeze(1), torch.zeros_like(y)

    def decode(self, y: Tensor, h: Tensor) -> Tensor:
        return y - h.squeeze(1)
