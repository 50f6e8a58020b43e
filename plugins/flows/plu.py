"""Invertible matrices by their PLU factors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .product import product


class PLU(nn.Module):
    r"""An invertible matrix whose determinant is known from its factors.

    .. math:: W = P L (U + \operatorname{diag}(\sigma \odot e^s)), \qquad \log|\det W| = \sum_j s_j

    with a permutation P and signs :math:`\sigma`, which are fixed, a unit lower triangular L and a strictly upper
    triangular U. It starts as a random rotation. As LAPACK packs them, one parameter holds L below its diagonal, U
    above it, and s on it; L and U times the root of their size, so that steps of an optimizer change W as much whatever
    that is. Solutions are computed in float64, whatever the parameters are, and nothing is kept between calls.

    References: Kingma and Dhariwal, Glow, 2018, arXiv:1807.03039, sec. 3.2.

    >>> plu = PLU(3)
    >>> x = torch.tensor([[1.0, 2.0, 3.0]])
    >>> torch.allclose(plu(x), x @ plu.weight().T, atol=1e-6), torch.allclose(plu.solve(plu(x)), x, atol=1e-6)
    (True, True)
    """

    order: Tensor
    sign: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        rotation, _ = torch.linalg.qr(torch.randn(size, size).double())
        P, L, U = torch.linalg.lu(rotation)
        diagonal = U.diagonal()
        factors = (L.tril(-1) + U.triu(1)) * math.sqrt(size) + diagonal.abs().log().diag()
        self.factors = nn.Parameter(factors.to(torch.get_default_dtype()))
        self.register_buffer("sign", diagonal.sign().to(torch.get_default_dtype()))
        self.register_buffer("order", P.argmax(1))  # row i of P A is row order[i] of A

    def weight(self) -> Tensor:
        """W, ``[size, size]``."""
        L, U = _unpack(self.factors, self.sign)
        return product(L, U).index_select(0, self.order)

    def forward(self, x: Tensor) -> Tensor:
        """W x for each row x, ``[N, size] -> [N, size]``, without W."""
        L, U = _unpack(self.factors, self.sign)
        return product(product(x, U.T), L.T).index_select(1, self.order)

    def solve(self, z: Tensor) -> Tensor:
        """The x with W x = z for each row z, ``[N, size] -> [N, size]``."""
        L, U = _unpack(self.factors.double(), self.sign.double())
        y = z.double().index_select(1, self.order.argsort()).T
        y = torch.linalg.solve_triangular(L, y, upper=False, unitriangular=True)
        x: Tensor = torch.linalg.solve_triangular(U, y, upper=True).T
        return x.to(z.dtype)

    def log_det(self) -> Tensor:
        """The sum of s, in at least float32."""
        s = self.factors.diagonal()
        return s.sum(dtype=torch.promote_types(s.dtype, torch.float32))


def _unpack(factors: Tensor, sign: Tensor) -> tuple[Tensor, Tensor]:
    """L with its ones, and U with its diagonal."""
    entries = factors / math.sqrt(sign.shape[0])
    diagonal = sign * factors.diagonal().exp()
    return entries.tril(-1) + torch.ones_like(sign).diag(), entries.triu(1) + diagonal.diag()
