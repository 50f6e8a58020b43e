"""Levels of numbers between zero and one."""

from __future__ import annotations

import torch
from torch import Tensor


def to_levels(v: Tensor, levels: int) -> Tensor:
    """The integers ``0 ... levels - 1`` whose bins numbers in [0, 1] fall into: uint8 up to 256 levels, int64 beyond.

    Numbers outside are given the nearest level.

    >>> to_levels(torch.tensor([-0.1, 0.0, 0.49, 0.5, 1.0]), 4)
    tensor([0, 0, 1, 2, 3], dtype=torch.uint8)
    """
    x = (v * levels).floor().clamp(0, levels - 1)
    return x.to(torch.uint8 if levels <= 256 else torch.int64)
