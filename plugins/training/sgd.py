"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat

from zoo import Optimizer, ParameterGroup, component

from .fused import fused


@component("sgd", example={"lr": 0.1})
class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum :math:`\mu` and L2 decay :math:`\lambda` where asked.

    .. math:: b_t = \mu b_{t-1} + g_t + \lambda\theta_{t-1}, \qquad \theta_t = \theta_{t-1} - \gamma b_t

    with :math:`\gamma` = ``lr``, :math:`\mu` = ``momentum`` and :math:`\lambda` = ``weight_decay``. ``nesterov`` looks
    ahead: it steps along :math:`g_t + \lambda\theta_{t-1} + \mu b_t`.

    Raises ValueError where ``nesterov`` is asked for without momentum.

    References: Sutskever et al., On the importance of initialization and momentum in deep learning, 2013, section 2.

    >>> weight = torch.nn.Parameter(torch.ones(1))
    >>> optimizer = SGD(lr=0.1).build([{"params": [weight]}])
    >>> weight.sum().backward(); optimizer.step(); round(weight.item(), 4)
    0.9
    """

    def __init__(
        self,
        *,
        lr: PositiveFloat,
        momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0,
        nesterov: bool = False,
        weight_decay: NonNegativeFloat = 0.0,
        groups: Sequence[ParameterGroup] = (),
    ) -> None:
        super().__init__(groups)
        if nesterov and momentum == 0.0:
            raise ValueError("'nesterov' needs a momentum above 0")
        self.lr, self.momentum, self.nesterov, self.weight_decay = lr, momentum, nesterov, weight_decay

    def build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            groups,
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            fused=fused(groups),
        )
