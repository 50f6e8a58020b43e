"""Numbers in at least float32."""

from __future__ import annotations

import torch
from torch import Tensor


def lifted(h: Tensor) -> Tensor:
    """The same numbers, those of half precision in float32: logarithms of densities would lose what they differ by.

    >>> lifted(torch.zeros(2, dtype=torch.bfloat16)).dtype, lifted(torch.zeros(2, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    return h.float() if h.dtype in (torch.float16, torch.bfloat16) else h
