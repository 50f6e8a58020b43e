"""The integral of a controller, and what it does where the controller's limits hold."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Integrator(nn.Module, ABC):
    """The sum of what a controller's errors contribute, between the limits ``low`` and ``high`` of its output."""

    value: Tensor

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high
        self.register_buffer("value", torch.tensor(0.0))

    @abstractmethod
    def add(self, change: Tensor, rest: Tensor) -> Tensor:
        """Add to the sum; the sum and the ``rest`` of the output, a scalar."""


class Bounded(Integrator):
    r"""A sum that goes no further than the output goes: it leaves a limit as soon as the error changes sign.

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
    r"""A sum that is left as it is after an output beyond a limit. It may be held for good.

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
