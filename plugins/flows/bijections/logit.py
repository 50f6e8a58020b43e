"""Logit of bounded data."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import logsigmoid

from zoo import Bijection, Shape, component, sum_event


@component("logit")
class Logit(Bijection):
    r"""Logit: maps data in [0, 1] to the real line.

    .. math:: y = \alpha + (1 - 2\alpha) x, \qquad z = \log y - \log(1 - y)

    so that :math:`\log|\det \partial z / \partial x| = \sum_j \log(1 - 2\alpha) - \log y_j - \log(1 - y_j)`. Where a
    :math:`y_j` lies beyond (0, 1) there is no density: ``log_det`` is :math:`-\infty`, and :math:`z_j` is 0.

    Args:
        alpha: The distance from 0 and 1 that keeps the edges finite, :math:`\alpha`.

    References: Dinh et al., Density estimation using Real NVP, 2017, arXiv:1605.08803, sec. 4.1, there with
    :math:`\alpha + (1 - \alpha) x`; Papamakarios et al., Masked Autoregressive Flow, 2017, arXiv:1705.07057, app. D.

    Shapes: ``[B, *shape]``, unchanged.

    >>> import torch, zoo
    >>> logit = zoo.declare(zoo.Bijection, {"type": "logit", "alpha": 0.1})(zoo.Shape(2))
    >>> z, log_det = logit(torch.tensor([[0.0, 0.5]]))    # logit(0.1), logit(0.5)
    >>> z, log_det
    (tensor([[-2.1972,  0.0000]]), tensor([3.3480]))
    """

    domain = (0.0, 1.0)

    def __init__(self, shape: Shape, *, alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05) -> None:
        super().__init__(shape)
        self.alpha = alpha
        self._log_slope = shape.size * math.log1p(-2.0 * alpha)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        y = self.alpha + (1.0 - 2.0 * self.alpha) * x
        within = (y > 0.0) & (y < 1.0)
        # NaN goes on as what it is; what lies beyond is nothing's image, and another number takes its place.
        y = torch.where(within | y.isnan(), y, 0.5)
        log_y, log_rest = y.log(), torch.log1p(-y)
        log_slopes = torch.where(within, -(log_y + log_rest), -math.inf)
        return log_y - log_rest, self._log_slope + sum_event(log_slopes)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = (torch.sigmoid(z) - self.alpha) / (1.0 - 2.0 * self.alpha)
        return x, sum_event(logsigmoid(z) + logsigmoid(-z)) - self._log_slope
