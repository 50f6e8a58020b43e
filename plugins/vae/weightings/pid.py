"""PID controllers: set point, integrator, and controlled weightings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor, nn

from zoo import AfterStep, Clock, LatentTerms, Weighting, mean_over_processes


class SetPoint:
    r"""Set point: a divergence in nats that rises by ``increment`` after every ``every`` steps, to ``most``.

    .. math:: C(t) = \min\Bigl(C_0 + \Delta \bigl(k - 1 + \min(\tfrac{t - k P + 1}{r}, 1)\bigr)^+,\; C_{max}\Bigr),
       \qquad k = \lfloor t / P \rfloor

    in which :math:`P` is ``every`` and each rise is spread over :math:`r \le P`, ``ramp``, steps: one is a staircase.
    ValueError if it starts above ``most``.

    >>> set_point = SetPoint(0.5, 0.15, 5000, 18.0)
    >>> set_point(torch.tensor(4999), torch.float32), set_point(torch.tensor(5000), torch.float32)
    (tensor(0.5000), tensor(0.6500))
    """

    def __init__(self, start: float, increment: float, every: int, most: float, ramp: int = 1) -> None:
        if start > most:
            raise ValueError(f"the set point must start below its maximum of {most} nats, got {start}")
        self.start, self.increment, self.every, self.most, self.ramp = start, increment, every, most, ramp

    def __call__(self, step: Tensor, dtype: torch.dtype) -> Tensor:
        """The set point in the step of this number, an integer scalar."""
        period = step.div(self.every, rounding_mode="floor")
        risen = ((step.remainder(self.every) + 1).to(dtype) / self.ramp).clamp(max=1.0)
        rises = (period.to(dtype) - 1.0 + risen).clamp(min=0.0)
        return (self.start + self.increment * rises).clamp(max=self.most)


class Integrator(nn.Module, ABC):
    """Integral term of a controller: the sum of the errors' contributions, given the limits ``low`` and ``high`` of the
    output.
    """

    value: Tensor

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high
        self.register_buffer("value", torch.tensor(0.0))

    @abstractmethod
    def add(self, change: Tensor, rest: Tensor) -> Tensor:
        """Add to the sum; return the sum plus the ``rest`` of the output, a scalar."""


class Bounded(Integrator):
    r"""Integral term that is clipped where the output reaches a limit: it leaves it as soon as the error changes sign.

    .. math:: I_t = \operatorname{clip}(I_{t-1} + \Delta_t,\; y_{min} - P_t,\; y_{max} - P_t), \qquad y_t = P_t + I_t

    >>> integral = Bounded(0.0, 1.0)
    >>> far = [integral.add(torch.tensor(0.8), torch.tensor(0.0)).item() for _ in range(3)]
    >>> far[-1], round(integral.add(torch.tensor(-0.25), torch.tensor(0.0)).item(), 2)
    (1.0, 0.75)
    """

    def add(self, change: Tensor, rest: Tensor) -> Tensor:
        self.value.copy_(torch.clamp(self.value + change, self.low - rest, self.high - rest))
        return self.value + rest


class Held(Integrator):
    r"""Integral term that is held after an output beyond a limit, possibly forever.

    .. math:: I_t = \begin{cases} I_{t-1} + \Delta_t & y_{min} \le y_{t-1} \le y_{max} \\ I_{t-1} & \text{else}
       \end{cases}, \qquad y_t = P_t + I_t

    with :math:`y_0` = ``start``.

    >>> integral = Held(0.0, 1.0)
    >>> [round(integral.add(torch.tensor(-0.5), torch.tensor(0.4)).item(), 1) for _ in range(3)]
    [-0.1, -0.1, -0.1]
    """

    output: Tensor

    def __init__(self, low: float, high: float, start: float = 0.0) -> None:
        super().__init__(low, high)
        self.register_buffer("output", torch.tensor(start))

    def add(self, change: Tensor, rest: Tensor) -> Tensor:
        within = (self.output >= self.low) & (self.output <= self.high)
        self.value.copy_(torch.where(within, self.value + change, self.value))
        self.output.copy_(self.value + rest)
        return self.output.clone()


class Controller(Weighting, AfterStep):
    r"""Controller of the weight of the divergence, which is set after each step: :math:`L = R + \beta_t\, \mathrm{KL}`.

    It observes the mean divergence of all examples of a step, of all its batches and processes, and nothing in
    evaluation.

    Its state is in buffers; observations of an unfinished step are not part of it.
    """

    beta: Tensor
    total: Tensor
    examples: Tensor

    def __init__(self, latent_size: int, beta: float) -> None:
        super().__init__(latent_size)
        self.register_buffer("beta", torch.tensor(beta))
        self.register_buffer("total", torch.tensor(0.0), persistent=False)
        self.register_buffer("examples", torch.tensor(0.0), persistent=False)

    @abstractmethod
    def act(self, kl: Tensor, clock: Clock) -> Tensor:
        """The weight of the next step, from the divergence of this one: both are scalars on the device."""

    @abstractmethod
    def readings(self, clock: Clock) -> Mapping[str, Tensor]:
        """Further values to log among the weights, by name: scalars that share no memory with buffers."""

    def forward(self, terms: LatentTerms, clock: Clock) -> tuple[Tensor, Mapping[str, Tensor]]:
        if self.training:
            self.total.add_(terms.kl.detach().sum())
            self.examples.add_(terms.kl.shape[0])
        beta = self.beta.clone()
        return (terms.nll + beta * terms.kl).mean(), {"beta": beta, **self.readings(clock)}

    @final
    @torch.no_grad()
    def after_step(self, clock: Clock) -> None:
        total, examples = mean_over_processes(torch.stack((self.total, self.examples))).unbind()
        self.beta.copy_(self.act(total / examples, clock))
        self.total.zero_()
        self.examples.zero_()
