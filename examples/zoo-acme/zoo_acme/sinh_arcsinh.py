"""Sinh-arcsinh transformation."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import softplus

from zoo import Bijection, Shape, component, sum_event


@component("sinh_arcsinh")
class SinhArcsinh(Bijection):
    r"""Sinh-arcsinh transformation with learned skewness and tail weight of each element.

    .. math:: z = \sinh(\delta \operatorname{arsinh} x - \varepsilon), \qquad \delta = \exp(c \tanh(s / c))

    so that :math:`\log|\det \partial z / \partial x| = \sum_j \log \delta_j + \log \cosh (\delta_j
    \operatorname{arsinh} x_j - \varepsilon_j) - \tfrac12 \log(1 + x_j^2)`. It starts as the identity. A :math:`\delta`
    below one turns heavy tails into light ones, and :math:`\varepsilon` removes their skewness.

    Args:
        reach: The bound of :math:`\log \delta`, :math:`c`.

    References: Jones and Pewsey, Sinh-arcsinh distributions, Biometrika 96(4), 2009, sec. 2.

    Shapes: ``[B, *shape] -> [B, *shape]``, any shape.

    >>> layer = SinhArcsinh(Shape(2))
    >>> _ = layer.epsilon.data.fill_(1.0)
    >>> z, log_det = layer(torch.zeros(1, 2))    # sinh(-1), and twice log cosh 1
    >>> z, log_det
    (tensor([[-1.1752, -1.1752]], grad_fn=<SinhBackward0>), tensor([0.8676], grad_fn=<SumBackward1>))
    """

    def __init__(self, shape: Shape, *, reach: Annotated[float, Field(gt=0.0, le=2.0)] = 1.0) -> None:
        super().__init__(shape)
        self.reach = reach
        self.epsilon = nn.Parameter(torch.zeros(*shape))
        self.s = nn.Parameter(torch.zeros(*shape))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_delta = self._log_delta()
        u = torch.asinh(x)
        v = log_delta.exp() * u - self.epsilon
        return torch.sinh(v), sum_event(log_delta + log_cosh(v) - log_cosh(u))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_delta = self._log_delta()
        v = torch.asinh(z)
        u = (v + self.epsilon) * log_delta.neg().exp()
        return torch.sinh(u), sum_event(log_cosh(u) - log_cosh(v) - log_delta)

    def _log_delta(self) -> Tensor:
        return self.reach * torch.tanh(self.s / self.reach)


def log_cosh(x: Tensor) -> Tensor:
    """The logarithm of the hyperbolic cosine, however far out: of arsinh x it is half of log(1 + x^2)."""
    return x.abs() + softplus(-2.0 * x.abs()) - math.log(2.0)
