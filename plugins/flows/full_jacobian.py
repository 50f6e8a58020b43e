"""The log-determinant of the whole Jacobian."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import component

from .directions import Function, against, basis
from .log_det import LogDet


@component("full_jacobian")
class FullJacobian(LogDet):
    r"""The log-determinant of the whole Jacobian, exact.

    .. math:: \log|\det(I + J)|, \qquad J_{ij} = \partial g_i / \partial x_j

    by D derivatives of g, which run as one batch, and a factorisation of :math:`O(D^3)` for each sample: for events of
    up to some hundred numbers. For larger ones there is ``roulette``.

    >>> import torch
    >>> FullJacobian()(lambda x: 0.5 * x, torch.zeros(1, 2))[1].exp()
    tensor([2.2500])
    """

    exact = True

    def forward(self, g: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        y, rows = against(g, x, basis(x))
        J = rows.flatten(2).transpose(0, 1)  # [B, D, D]
        identity = torch.eye(J.shape[1], dtype=J.dtype, device=J.device)
        return y, torch.linalg.slogdet(identity + J).logabsdet
