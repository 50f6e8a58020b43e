"""Convolutional residual block with weight normalisation."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from .activation import Activation, activation


def normed_conv(before: int, after: int, kernel: int) -> nn.Conv2d:
    r"""A convolution that keeps height and width, with its weight as :math:`w = g\, v / \lVert v \rVert`.

    The scales :math:`g` are the parameter ``parametrizations.weight.original0``, the directions :math:`v` are
    ``original1``.

    References: Salimans and Kingma, Weight Normalization, 2016, arXiv:1602.07868, eq. 2.

    >>> [name for name, _ in normed_conv(1, 2, 3).named_parameters()]
    ['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1']
    """
    conv: nn.Conv2d = weight_norm(nn.Conv2d(before, after, kernel, padding=kernel // 2))
    return conv


class ResidualBlock(nn.Module):
    r"""Pre-activation residual block.

    .. math:: y = x + w_2 * \phi(w_1 * \phi(x))

    References: He et al., Identity Mappings in Deep Residual Networks, 2016, arXiv:1603.05027, fig. 1b.

    Shapes: ``[B, width, H, W] -> [B, width, H, W]``.

    >>> import torch
    >>> ResidualBlock(4, (3, 1), "relu", 0.0)(torch.ones(2, 4, 5, 5)).shape
    torch.Size([2, 4, 5, 5])
    """

    def __init__(self, width: int, kernels: tuple[int, int], phi: Activation, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            activation(phi),
            normed_conv(width, width, kernels[0]),
            activation(phi),
            nn.Dropout(dropout) if dropout > 0 else nn.Identity(),
            normed_conv(width, width, kernels[1]),
        )

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.layers(x)
        return x + h
