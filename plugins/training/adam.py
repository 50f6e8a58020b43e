"""Adam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat

from zoo import Optimizer, ParameterGroup, component

from .fused import fused

Decay = Annotated[float, Field(ge=0.0, lt=1.0)]


@component("adam")
class Adam(Optimizer):
    r"""Adam: steps scaled by running moments of the gradient.

    .. math::
        m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \quad
        \theta_t = \theta_{t-1} - \gamma \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    with :math:`\gamma` = ``lr``, :math:`(\beta_1, \beta_2)` = ``betas`` and :math:`\epsilon` = ``eps``.
    ``weight_decay`` is added to the gradient as :math:`\lambda\theta`; for decay apart from it take `adamw`.

    References: Kingma and Ba, Adam: A Method for Stochastic Optimization, 2014, arXiv:1412.6980, algorithm 1.

    >>> weight = torch.nn.Parameter(torch.ones(1))
    >>> optimizer = Adam(lr=0.1).build([{"params": [weight]}])
    >>> weight.sum().backward(); optimizer.step(); round(weight.item(), 4)
    0.9
    """

    def __init__(
        self,
        *,
        lr: PositiveFloat = 1e-3,
        betas: tuple[Decay, Decay] = (0.9, 0.999),
        eps: PositiveFloat = 1e-8,
        weight_decay: NonNegativeFloat = 0.0,
        groups: Sequence[ParameterGroup] = (),
    ) -> None:
        super().__init__(groups)
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay

    def build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            groups, lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay, fused=fused(groups)
        )
