"""DynamicVAE: a weight of the divergence that is large at first and below one at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from zoo import NOT_A_SIZE, Clock, component

from .annealing import Share
from .pid import Controller, SetPoint


@component("dynamic")
class Dynamic(Controller):
    r"""Incremental proportional-integral control of the weight of the divergence, from a moving average of it.

    .. math::
        e_t = C(t) - \frac1T \sum_{j=0}^{T-1} \mathrm{KL}_{t-j}, \qquad
        \beta_{t+1} = \beta_t + K_p \bigl(\sigma(-e_t) - \sigma(-e_{t-1})\bigr) - K_i e_t, \quad
        \beta_{min} \le \beta \le \beta_{max}

    with :math:`e_{-1} = 0`. The set point :math:`C(t)` rises in ramps. The defaults are the authors' for dSprites,
    which have no :math:`\beta_{max}`. ValueError if limits are crossed.

    The weight stops at a limit: nothing accumulates beyond it.

    Logs the weights ``beta``, ``target`` and ``average``, the moving average.

    Args:
        start: The first set point, in nats.
        increment: The rise of the set point, in nats.
        every: The number of steps between two rises.
        ramp: The share of these steps over which a rise is spread.
        most: The last set point, in nats.
        proportional: The proportional gain, :math:`K_p`.
        integral: The integral gain, :math:`K_i`.
        window: The number of steps of the moving average, :math:`T`, or fewer at first.
        beta: The first weight.
        beta_min: The lowest weight, :math:`\beta_{min}`.
        beta_max: The largest weight, :math:`\beta_{max}`.

    References: Shao et al., DynamicVAE: Decoupling Reconstruction Error and Disentangled Representation Learning, 2020,
    arXiv:2009.06795.

    >>> import zoo
    >>> dynamic, clock = Dynamic(2, start=1.0, integral=0.1), zoo.Clock(torch.tensor(0), 100)
    >>> terms = zoo.LatentTerms(torch.tensor([5.0]), torch.tensor([3.0]), None, 4)
    >>> _ = dynamic(terms, clock); dynamic.after_step(clock)
    >>> round(dynamic(terms, clock)[1]["beta"].item(), 4)    # 50 + 0.01 (sigma(2) - sigma(0)) + 0.1 * 2
    50.2038
    """

    seen: Tensor
    error: Tensor
    recent: Tensor

    def __init__(
        self,
        latent_size: int,
        *,
        start: NonNegativeFloat = 0.5,
        increment: NonNegativeFloat = 0.15,
        every: Annotated[PositiveInt, NOT_A_SIZE] = 6000,
        ramp: Share = 1000 / 6000,
        most: PositiveFloat = 20.0,
        proportional: NonNegativeFloat = 0.01,
        integral: NonNegativeFloat = 0.005,
        window: PositiveInt = 5,
        beta: PositiveFloat = 50.0,
        beta_min: NonNegativeFloat = 0.1,
        beta_max: PositiveFloat = 1000.0,
    ) -> None:
        super().__init__(latent_size, beta)
        if not beta_min <= beta <= beta_max:
            raise ValueError(f"beta must be between beta_min ({beta_min}) and beta_max ({beta_max}), got {beta}")
        self.set_point = SetPoint(start, increment, every, most, ramp=max(1, round(ramp * every)))
        self.K_p, self.K_i, self.beta_min, self.beta_max = proportional, integral, beta_min, beta_max
        self.register_buffer("recent", torch.zeros(window))
        self.register_buffer("seen", torch.tensor(0))
        self.register_buffer("error", torch.tensor(0.0))

    def act(self, kl: Tensor, clock: Clock) -> Tensor:
        self.recent.copy_(torch.cat((self.recent[1:], kl.reshape(1))))
        self.seen.add_(1)
        e = self.set_point(clock.step, kl.dtype) - self._average()
        change = self.K_p * (torch.sigmoid(-e) - torch.sigmoid(-self.error)) - self.K_i * e
        self.error.copy_(e)
        return (self.beta + change).clamp(self.beta_min, self.beta_max)

    def readings(self, clock: Clock) -> Mapping[str, Tensor]:
        return {"target": self.set_point(clock.step, self.beta.dtype), "average": self._average()}

    def _average(self) -> Tensor:
        """The mean of the divergences in the window; 0 before the first."""
        return self.recent.sum() / self.seen.clamp(1, self.recent.shape[0])
