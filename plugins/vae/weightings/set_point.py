"""The divergence that a controller steers to."""

from __future__ import annotations

import torch
from torch import Tensor


class SetPoint:
    r"""A divergence in nats that rises by ``increment`` after every ``every`` steps, to ``most``.

    .. math:: C(t) = \min\Bigl(C_0 + \Delta \bigl(k - 1 + \min(\tfrac{t - k P + 1}{r}, 1)\bigr)^+,\; C_{max}\Bigr),
       \qquad k = \lfloor t / P \rfloor

    in which :math:`P` is ``every`` and each rise is spread over :math:`r \le P`, ``ramp``, steps: one is a staircase.
    ValueError where it starts above ``most``.

    >>> set_point = SetPoint(0.5, 0.15, 5000, 18.0)
    >>> set_point(torch.tensor(4999), torch.float32), set_point(torch.tensor(5000), torch.float32)
    (tensor(0.5000), tensor(0.6500))
    """

    def __init__(self, start: float, increment: float, every: int, most: float, ramp: int = 1) -> None:
        if start > most:
            raise ValueError(f"the set point starts at {start} nats, above its most, {most}")
        self.start, self.increment, self.every, self.most, self.ramp = start, increment, every, most, ramp

    def __call__(self, step: Tensor, dtype: torch.dtype) -> Tensor:
        """The set point in the step of this number, an integer scalar."""
        period = step.div(self.every, rounding_mode="floor")
        risen = ((step.remainder(self.every) + 1).to(dtype) / self.ramp).clamp(max=1.0)
        rises = (period.to(dtype) - 1.0 + risen).clamp(min=0.0)
        return (self.start + self.increment * rises).clamp(max=self.most)
