"""Affine and additive transformers."""

from __future__ import annotations

import torch
from pydantic import PositiveFloat
from torch import Tensor

from zoo import component

from .base import Transformer


@component("affine")
class Affine(Transformer):
    r"""Affine map: a bounded log-scale and a shift.

    .. math:: y = x \exp(s) + t, \qquad s = c \tanh(\tilde s / c), \qquad h = (\tilde s, t)

    so that :math:`\log|\partial y / \partial x| = s`.

    Args:
        max_log_scale: The bound of the log-scale, :math:`c`.

    References: Dinh et al., Density estimation using Real NVP, 2017, arXiv:1605.08803, eq. 4-8.

    >>> import torch, zoo
    >>> from zoo.plugins.flows.elementwise.base import Transformer
    >>> affine = zoo.declare(Transformer, "affine")()
    >>> y, log_slope = affine(torch.ones(1, 2), torch.zeros(1, 2, 2))
    >>> y.tolist(), log_slope.tolist()
    ([[1.0, 1.0]], [[0.0, 0.0]])
    """

    count = 2

    def __init__(self, *, max_log_scale: PositiveFloat = 2.0) -> None:
        super().__init__()
        self.max_log_scale = max_log_scale
        self._steepness = 1.0 / max_log_scale  # a product is half the price of a quotient

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        s, t = self._scale_and_shift(h)
        return torch.addcmul(t, x, s.exp()), s

    def inverse(self, y: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        s, t = self._scale_and_shift(h)
        s = -s
        return (y - t) * s.exp(), s

    def decode(self, y: Tensor, h: Tensor) -> Tensor:
        s, t = h.unbind(1)  # [B, *shape] each
        return (y - t) * torch.exp(-self.max_log_scale * torch.tanh(s * self._steepness))

    def _scale_and_shift(self, h: Tensor) -> tuple[Tensor, Tensor]:
        s, t = h.unbind(1)  # [B, *shape] each
        return self.max_log_scale * torch.tanh(s * self._steepness), t


@component("additive")
class Additive(Transformer):
    r"""Additive map: a shift, which preserves volume.

    .. math:: y = x + h

    so that :math:`\log|\partial y / \partial x| = 0`.

    References: Dinh et al., NICE: Non-linear Independent Components Estimation, 2015, arXiv:1410.8516, eq. 6.

    >>> import torch, zoo
    >>> from zoo.plugins.flows.elementwise.base import Transformer
    >>> additive = zoo.declare(Transformer, "additive")()
    >>> y, log_slope = additive(torch.ones(1, 2), torch.tensor([[[0.5, 2.0]]]))
    >>> y.tolist(), log_slope.tolist()
    ([[1.5, 3.0]], [[0.0, 0.0]])
    """

    count = 1

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return x + h.squeeze(1), torch.zeros_like(x)

    def inverse(self, y: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return y - h.squeeze(1), torch.zeros_like(y)

    def decode(self, y: Tensor, h: Tensor) -> Tensor:
        return y - h.squeeze(1)
