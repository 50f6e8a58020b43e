"""Vectors and the codes nearest to them."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import sum_event

from .quantizer import Quantized


def rows(z: Tensor) -> Tensor:
    """The vectors at all places, one a row: ``[B, D, ...] -> [N, D]``, in at least float32.

    >>> rows(torch.arange(8.0).reshape(1, 2, 2, 2)).tolist()
    [[0.0, 4.0], [1.0, 5.0], [2.0, 6.0], [3.0, 7.0]]
    """
    z = z.float() if z.dtype in (torch.float16, torch.bfloat16) else z
    return z.movedim(1, -1).flatten(0, -2)


def nearest(vectors: Tensor, codebook: Tensor) -> Tensor:
    """The number of the nearest code of each row, ``[N, D], [K, D] -> [N]``.

    >>> nearest(torch.tensor([[0.9], [0.2]]), torch.tensor([[0.0], [1.0]]))
    tensor([1, 0])
    """
    # Of all ways to a distance the one that autocast does not round.
    return torch.cdist(vectors.detach(), codebook.detach()).argmin(1)


def embedded(codes: Tensor, codebook: Tensor) -> Tensor:
    """The vectors of codes, ``[B, ...] -> [B, D, ...]``."""
    return codebook[codes].movedim(-1, 1)


def quantized(z: Tensor, codes: Tensor, codebook: Tensor) -> Quantized:
    """What became of vectors ``[B, D, ...]``, given the numbers of their codes, ``[N]``."""
    codes = codes.reshape(z.shape[0], *z.shape[2:])
    e = embedded(codes, codebook)
    commitment, learned = sum_event((z - e.detach()).square()), sum_event((z.detach() - e).square())
    straight = e.detach() + (z - z.detach())  # in this order exactly e, not up to rounding
    return Quantized(straight, codes, commitment, learned)


def members(codes: Tensor, size: int) -> Tensor:
    """Which rows have which code, ``[N] -> [N, K]``, ones and zeros.

    >>> members(torch.tensor([1, 1]), 3).tolist()
    [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    """
    return (codes.unsqueeze(1) == torch.arange(size, device=codes.device)).to(torch.get_default_dtype())


def some(vectors: Tensor, n: int) -> Tensor:
    """Rows drawn with replacement: ``[N, D] -> [n, D]``."""
    return vectors[torch.randint(vectors.shape[0], (n,), device=vectors.device)]
