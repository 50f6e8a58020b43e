"""Adam with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat

from zoo import Optimizer, ParameterGroup, component

from .fused import fused

Decay = Annotated[float, Field(ge=0.0, lt=1.0)]


@component("adamw")
class AdamW(Optimizer):
    r"""AdamW: Adam whose weight decay shrinks the parameters apart from the gradient.

    .. math:: \theta_t = (1 - \gamma\lambda)\,\theta_{t-1}
        - \gamma \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    with :math:`\gamma` = ``lr``, :math:`\lambda` = ``weight_decay``, and the moments of `adam` with :math:`(\beta_1,
    \beta_2)` = ``betas`` and :math:`\epsilon` = ``eps``.

    References: Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2017, arXiv:1711.05101, algorithm 2.

    >>> weight = torch.nn.Parameter(torch.ones(1))
    >>> optimizer = AdamW(lr=0.1, weight_decay=0.5).build([{"params": [weight]}])
    >>> weight.sum().backward(); optimizer.step(); round(weight.item(), 4)
    0.85
    """

    def __init__(
        self,
        *,
        lr: PositiveFloat = 1e-3,
        betas: tuple[Decay, Decay] = (0.9, 0.999),
        eps: PositiveFloat = 1e-8,
        weight_decay: NonNegativeFloat = 0.01,
        groups: Sequence[ParameterGroup] = (),
    ) -> None:
        super().__init__(groups)
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay

    def build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            groups, lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay, fused=fused(groups)
        )
