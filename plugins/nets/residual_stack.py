"""Residual blocks after each other."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from .activation import Activation, overwriting
from .residual import ResidualBlock


def residual_stack(width: int, blocks: int, phi: Activation) -> Iterator[nn.Module]:
    r"""Blocks of a 3x3 and a 1x1 convolution, and the nonlinearity that is due after the last one.

    References: van den Oord et al., Neural Discrete Representation Learning, 2017, arXiv:1711.00937, sec. 4.1.

    >>> [type(layer).__name__ for layer in residual_stack(4, 2, "relu")]
    ['ResidualBlock', 'ResidualBlock', 'ReLU']
    """
    for _ in range(blocks):
        yield ResidualBlock(width, (3, 1), phi, 0.0)
    yield overwriting(phi)
