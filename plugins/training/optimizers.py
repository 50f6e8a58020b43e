"""Optimizers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat

from zoo import Optimizer, ParameterGroup, component

DEVICES = frozenset({"cpu", "cuda", "mps"})


def fused(groups: Iterable[Mapping[str, Any]]) -> bool | None:
    """True if one kernel can update all parameters; otherwise None, and torch chooses its implementation.

    The update is the same, in fewer passes over memory. It needs real floating-point parameters on one device that has
    such a kernel.
    """
    parameters = [parameter for group in groups for parameter in group["params"]]
    devices = {parameter.device for parameter in parameters}
    supported = len(devices) == 1 and devices.pop().type in DEVICES
    return True if supported and all(parameter.is_floating_point() for parameter in parameters) else None


Decay = Annotated[float, Field(ge=0.0, lt=1.0)]


@component("adam")
class Adam(Optimizer):
    r"""Adam: steps scaled by running moments of the gradient.

    .. math::
        m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \quad
        \theta_t = \theta_{t-1} - \gamma \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    Args:
        lr: The learning rate :math:`\gamma`.
        betas: The decay rates of the moments, :math:`(\beta_1, \beta_2)`.
        eps: The number :math:`\epsilon` added to the denominator.
        weight_decay: The L2 penalty :math:`\lambda`, added to the gradient as :math:`\lambda\theta`; for decoupled
            weight decay use `adamw`.

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


@component("adamw")
class AdamW(Optimizer):
    r"""AdamW: Adam with weight decay that is decoupled from the gradient.

    .. math:: \theta_t = (1 - \gamma\lambda)\,\theta_{t-1}
        - \gamma \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    with the moments of `adam`.

    Args:
        lr: The learning rate :math:`\gamma`.
        betas: The decay rates of the moments, :math:`(\beta_1, \beta_2)`.
        eps: The number :math:`\epsilon` added to the denominator.
        weight_decay: The weight decay :math:`\lambda`.

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


@component("sgd", example={"lr": 0.1})
class SGD(Optimizer):
    r"""Stochastic gradient descent, with optional momentum :math:`\mu` and L2 penalty :math:`\lambda`.

    .. math:: b_t = \mu b_{t-1} + g_t + \lambda\theta_{t-1}, \qquad \theta_t = \theta_{t-1} - \gamma b_t

    Raises ValueError for ``nesterov`` without momentum.

    Args:
        lr: The learning rate :math:`\gamma`.
        momentum: The momentum :math:`\mu`.
        nesterov: Use Nesterov's momentum: step along :math:`g_t + \lambda\theta_{t-1} + \mu b_t`.
        weight_decay: The L2 penalty :math:`\lambda`.

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
            raise ValueError("'nesterov' requires a momentum above 0")
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
