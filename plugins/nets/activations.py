"""Nonlinearities by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, softplus


class LipSwish(nn.Module):
    r"""Swish divided by 1.1, which bounds its slope by one.

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


def concat_elu(x: Tensor) -> Tensor:
    """ELU of the channels and of their negatives: ``[B, C, ...] -> [B, 2 C, ...]``.

    References: Shang et al., Concatenated Rectified Linear Units, 2016, arXiv:1603.05201; with ELU in PixelCNN++.

    >>> concat_elu(torch.tensor([[2.0, 0.0]]))
    tensor([[ 2.0000,  0.0000, -0.8647, -0.0000]])
    """
    return elu(torch.cat([x, -x], dim=1))  # [B, 2 C, ...]


Activation = Literal["relu", "elu", "silu", "gelu", "tanh", "leaky_relu"]

_LAYERS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "leaky_relu": partial(nn.LeakyReLU, 0.2),
}


def overwriting(name: Activation) -> nn.Module:
    """The nonlinearity of this name, after a layer whose output is not used again: ReLU then overwrites its input.

    >>> overwriting("relu"), overwriting("silu")
    (ReLU(inplace=True), SiLU())
    """
    return nn.ReLU(inplace=True) if name == "relu" else activation(name)


def activation(name: Activation) -> nn.Module:
    """A new layer that applies the nonlinearity of this name.

    >>> activation("silu")
    SiLU()
    """
    return _LAYERS[name]()
