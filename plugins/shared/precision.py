"""Computations in at least float32, also under autocast and TF32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def lifted(h: Tensor) -> Tensor:
    """The same numbers, with half precision raised to float32: logarithms of densities would lose their differences.

    >>> lifted(torch.zeros(2, dtype=torch.bfloat16)).dtype, lifted(torch.zeros(2, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    return h.float() if h.dtype in (torch.float16, torch.bfloat16) else h


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Context manager in which matrix products on the device of ``x`` are computed in their own precision.

    A matrix rounded to half precision is not the one whose determinant is known.

    >>> x = torch.eye(2)
    >>> with torch.autocast("cpu", torch.bfloat16), full_precision(x):
    ...     (x @ x).dtype
    torch.float32
    """
    kind = x.device.type
    if kind == "meta" or not torch.is_autocast_enabled(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)


def product(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product ``a @ b``, in the precision of its factors.

    A matrix rounded to half precision by autocast, or to TF32 on GPUs, is not the one whose determinant and inverse are
    known. If TF32 is allowed, products of float32 are computed in float64: the matrices are small.

    >>> x = torch.eye(2)
    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     product(x, x).dtype, (x @ x).dtype
    (torch.float32, torch.bfloat16)
    """
    with full_precision(a):
        if a.is_cuda and a.dtype == torch.float32 and torch.backends.cuda.matmul.allow_tf32:
            return torch.matmul(a.double(), b.double()).to(a.dtype)
        return torch.matmul(a, b)
