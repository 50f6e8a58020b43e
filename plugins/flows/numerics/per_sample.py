"""Log-determinants that are the same for every sample."""

from __future__ import annotations

import torch
from torch import Tensor


def per_sample(log_det: Tensor, x: Tensor) -> Tensor:
    """A number expanded to each sample of a batch, without a copy, in at least float32.

    >>> per_sample(torch.tensor(2.0), torch.zeros(3, 4))
    tensor([2., 2., 2.])
    """
    return log_det.to(torch.promote_types(log_det.dtype, torch.float32)).expand(x.shape[0])
