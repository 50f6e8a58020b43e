"""Matrix products that no setting rounds."""

from __future__ import annotations

import torch
from torch import Tensor

from .full_precision import full_precision


def product(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product ``a @ b``, in the precision of its factors.

    Rounded to half precision by autocast, or to TF32 on GPUs, a matrix is another than the one whose determinant and
    inverse are known. Where TF32 is allowed, products of float32 are in float64: the matrices are small.

    >>> x = torch.eye(2)
    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     product(x, x).dtype, (x @ x).dtype
    (torch.float32, torch.bfloat16)
    """
    with full_precision(a):
        if a.is_cuda and a.dtype == torch.float32 and torch.backends.cuda.matmul.allow_tf32:
            return torch.matmul(a.double(), b.double()).to(a.dtype)
        return torch.matmul(a, b)
