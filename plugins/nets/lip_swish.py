"""LipSwish."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


class LipSwish(nn.Module):
    r"""Swish divided by 1.1, which makes its slope one at most.

    .. math:: \phi(x) = x\, \sigma(\operatorname{softplus}(\beta)\, x) / 1.1

    with a learnable :math:`\beta`. Its derivatives are smooth, so that a log-determinant has a gradient, and do not
    vanish where the slope is largest.

    References: Chen et al., Residual Flows for Invertible Generative Modeling, 2019, arXiv:1906.02735, sec. 3.3.

    >>> x = torch.linspace(-9, 9, 1001, requires_grad=True)
    >>> LipSwish()(x).sum().backward()
    >>> 0.99 < x.grad.abs().max().item() < 1.0
    True
    """

    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(softplus(self.beta) * x) / 1.1
