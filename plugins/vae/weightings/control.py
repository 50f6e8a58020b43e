"""ControlVAE: a controller holds the divergence at a set point."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from zoo import NOT_A_SIZE, Clock, component

from .pid import Bounded, Controller, Held, Integrator, SetPoint


@component("control")
class Control(Controller):
    r"""Non-linear proportional-integral control of the weight of the divergence.

    .. math::
        e_t = C(t) - \mathrm{KL}_t, \qquad
        \beta_{t+1} = \frac{K_p}{1 + \exp e_t} - K_i \sum_{j \le t} e_j + \beta_{min}, \quad
        \beta_{min} \le \beta \le \beta_{max}

    The set point :math:`C(t)` rises in steps. The defaults are the paper's for dSprites, which has no
    :math:`\beta_{max}`. ValueError if the limits of the weight or of the set point are crossed.

    At a limit of :math:`\beta` the sum stops where the limit is reached, so that the weight leaves it as soon as the
    error changes sign. The authors' repository, shj1987/ControlVAE-ICML2020, has two other rules in its folder
    ``Disentangling``, which ``compat`` selects:

    - ``compat: solver`` is ``P_PID.py``, which their solver imports: the sum is held after a step whose unlimited
      weight was below :math:`\beta_{min}`, and has no upper limit. It goes beyond the lower limit by one step at most,
      so that the default hardly differs.
    - ``compat: paper`` is ``PID.py``, which their solver does not import: the sum is held after a step whose unlimited
      weight was below 0 or above :math:`\beta_{max}`. What it accumulated between :math:`\beta_{min}` and 0 has to be
      undone first, and beyond a limit it can be held forever.

    Logs the weights ``beta``, ``target`` and ``integral``.

    Args:
        start: The first set point, in nats.
        increment: The rise of the set point, in nats.
        every: The number of steps between two rises.
        most: The last set point, in nats.
        proportional: The proportional gain, :math:`K_p`.
        integral: The integral gain, :math:`K_i`.
        beta_min: The lowest weight, :math:`\beta_{min}`.
        beta_max: The largest weight, :math:`\beta_{max}`.
        compat: The rule for the sum at a limit: ``none`` for the one here, ``solver`` or ``paper`` for one of the
            authors' repository.

    References: Shao et al., ControlVAE: Controllable Variational Autoencoder, 2020, arXiv:2004.05988, eq. 7 and
    algorithm 1.

    >>> import zoo
    >>> control, clock = Control(2, start=1.0, integral=0.1), zoo.Clock(torch.tensor(0), 100)
    >>> terms = zoo.LatentTerms(torch.tensor([5.0]), torch.tensor([3.0]), None, 4)
    >>> _ = control(terms, clock); control.after_step(clock)
    >>> round(control(terms, clock)[1]["beta"].item(), 4)    # 0.01 / (1 + exp(-2)) + 0.1 * 2 + 1
    1.2088
    """

    def __init__(
        self,
        latent_size: int,
        *,
        start: NonNegativeFloat = 0.5,
        increment: NonNegativeFloat = 0.15,
        every: Annotated[PositiveInt, NOT_A_SIZE] = 5000,
        most: PositiveFloat = 18.0,
        proportional: NonNegativeFloat = 0.01,
        integral: NonNegativeFloat = 0.001,
        beta_min: NonNegativeFloat = 1.0,
        beta_max: PositiveFloat = 100.0,
        compat: Literal["none", "solver", "paper"] = "none",
    ) -> None:
        super().__init__(latent_size, beta_min)
        if beta_min >= beta_max:
            raise ValueError(f"beta_min must be below beta_max, got {beta_min} and {beta_max}")
        self.set_point = SetPoint(start, increment, every, most)
        self.K_p, self.K_i, self.beta_min, self.beta_max = proportional, integral, beta_min, beta_max
        self.sum: Integrator
        match compat:
            case "none":
                self.sum = Bounded(beta_min, beta_max)
            case "solver":
                self.sum = Held(beta_min, math.inf, start=beta_min)
            case "paper":
                self.sum = Held(0.0, beta_max)

    def act(self, kl: Tensor, clock: Clock) -> Tensor:
        e = self.set_point(clock.step, kl.dtype) - kl
        beta = self.sum.add(-self.K_i * e, self.K_p * torch.sigmoid(-e) + self.beta_min)
        return beta.clamp(self.beta_min, self.beta_max)

    def readings(self, clock: Clock) -> Mapping[str, Tensor]:
        return {"target": self.set_point(clock.step, self.beta.dtype), "integral": self.sum.value.clone()}
