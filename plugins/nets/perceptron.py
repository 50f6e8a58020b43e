"""Layers of a multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, pairwise

from torch import nn

from .activation import Activation, overwriting


def perceptron(before: int, hidden: Iterable[int], after: int, phi: Activation, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers from ``before`` numbers through the ``hidden`` ones to ``after``, nonlinear between any two.

    >>> perceptron(3, [8], 2, "relu")
    Sequential(
      (0): Linear(in_features=3, out_features=8, bias=True)
      (1): ReLU(inplace=True)
      (2): Linear(in_features=8, out_features=2, bias=True)
    )
    """
    layers: list[nn.Module] = []
    width = before
    # Walked, not listed: a stranger's depth could fill the memory before a layer is built.
    for wide, width in pairwise(chain([before], hidden)):
        layers += [nn.Linear(wide, width), overwriting(phi)]
        layers += [nn.Dropout(dropout)] if dropout > 0 else []
    return nn.Sequential(*layers, nn.Linear(width, after))
