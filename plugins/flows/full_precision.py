"""Products that autocast leaves alone."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """A block in which matrix products on the device of ``x`` are in their own precision.

    In half precision a matrix is another than the one whose determinant is known.

    >>> x = torch.eye(2)
    >>> with torch.autocast("cpu", torch.bfloat16), full_precision(x):
    ...     (x @ x).dtype
    torch.float32
    """
    kind = x.device.type
    if kind == "meta" or not torch.is_autocast_enabled(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)
