"""PI controller."""

from __future__ import annotations

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from zoo import Clock, component

from .controller import Controller


@component("pi", example={"target": 1.0})
class PI(Controller):
    r"""Non-linear proportional-integral controller of a weight :math:`\beta`.

    .. math::
        e_t = v^* - v_t, \qquad
        \beta_t = \frac{K_p}{1 + \exp e_t} - K_i \sum_{j \le t} e_j + \beta_{min}, \quad
        \beta_{min} \le \beta_t \le \beta_{max}

    At a bound the sum does not grow.

    Args:
        target: The set point :math:`v^*`, in the unit of the observed scalar.
        proportional: The proportional gain :math:`K_p`.
        integral: The integral gain :math:`K_i`.
        least: The lowest weight, :math:`\beta_{min}`.
        most: The largest weight, :math:`\beta_{max}`.

    References: Shao et al., ControlVAE: Controllable Variational Autoencoder, 2020, arXiv:2004.05988, algorithm 1.

    >>> controller = PI(target=1.0, integral=0.1)
    >>> _ = controller(torch.tensor(3.0)); controller.after_step(None)
    >>> round(controller(torch.tensor(3.0)).item(), 4)    # 0.01 / (1 + exp(-2)) + 0.1 * 2
    0.2088
    """

    weight: Tensor
    integral: Tensor
    observed: Tensor

    def __init__(
        self,
        *,
        target: PositiveFloat,
        proportional: NonNegativeFloat = 0.01,
        integral: NonNegativeFloat = 1e-3,
        least: NonNegativeFloat = 0.0,
        most: PositiveFloat = 1.0,
    ) -> None:
        super().__init__()
        if least >= most:
            raise ValueError(f"the least weight {least} should be below the most, {most}")
        self.target, self.K_p, self.K_i, self.least, self.most = target, proportional, integral, least, most
        self.register_buffer("weight", torch.tensor(least))
        self.register_buffer("integral", torch.tensor(0.0))
        self.register_buffer("observed", torch.tensor(target))

    def forward(self, value: Tensor) -> Tensor:
        if self.training:
            self.observed.copy_(value.detach())
        return self.weight.clone()

    @torch.no_grad()
    def after_step(self, clock: Clock) -> None:
        e = self.target - self.observed
        integral = self.integral - self.K_i * e
        weight = self.K_p * torch.sigmoid(-e) + integral + self.least
        within = (weight >= self.least) & (weight <= self.most)
        self.integral.copy_(torch.where(within, integral, self.integral))
        self.weight.copy_(weight.clamp(self.least, self.most))
