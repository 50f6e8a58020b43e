"""Path in steps, as published for DDPM."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from zoo import component

from .base import Path

MOST = 0.999
"""The largest variance that a step adds, so that the signal never vanishes."""


@component("discrete")
class Discrete(Path):
    r"""Variance-preserving path in T steps: the schedules of DDPM and its successors, to the published numbers.

    .. math:: \alpha_i^2 = \prod_{j \le i} (1 - \beta_j), \qquad t_i = \frac{i + 1}{T}, \qquad i = 0, \dots, T - 1

    Training uses these times alone. Solvers may use others: :math:`\log \alpha` is linear in time between two steps.
    The number of a step, from 0 to T - 1, is what a network gets where the model declares ``level: time``.

    Args:
        schedule: The variances: ``linear`` from ``low`` to ``high`` (DDPM), ``scaled_linear`` of their roots (latent
            diffusion), or ``cosine``, of :math:`\cos^2(\tfrac\pi2 (t + 0.008) / 1.008)` (iDDPM), which has neither.
        steps: The number of steps T.
        low: The first variance.
        high: The last variance.

    References: Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239, sec. 4; Nichol and
    Dhariwal, Improved Denoising Diffusion Probabilistic Models, 2021, arXiv:2102.09672, eq. 17; between the steps: Lu
    et al., DPM-Solver, 2022, arXiv:2206.00927, app. D.3.

    >>> import torch
    >>> round(Discrete().log_snr(torch.tensor(1.0, dtype=torch.float64)).item(), 2)
    -10.12
    """

    def __init__(
        self,
        *,
        schedule: Literal["linear", "scaled_linear", "cosine"] = "linear",
        steps: PositiveInt = 1000,
        low: PositiveFloat = 1e-4,
        high: PositiveFloat = 0.02,
    ) -> None:
        if not low < high < 1.0:
            raise ValueError(f"low must be below high, and high below 1, got {low:g} and {high:g}")
        self.steps = steps
        self.start, self.end = 1.0 / steps, 1.0
        decay = -torch.log1p(-_variances(schedule, steps, low, high)).cumsum(0)  # -log alpha^2
        self.decay = torch.cat((decay.new_zeros(1), decay))  # [T + 1]

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        decay, _ = self._at(t)
        return torch.exp(-0.5 * decay), (-torch.expm1(-decay)).sqrt()

    def derivatives(self, t: Tensor) -> tuple[Tensor, Tensor]:
        decay, rate = self._at(t)
        alpha, sigma = torch.exp(-0.5 * decay), (-torch.expm1(-decay)).sqrt()
        return -0.5 * rate * alpha, 0.5 * rate * alpha.square() / sigma

    def time_of(self, log_snr: Tensor) -> Tensor:
        decay = torch.nn.functional.softplus(-log_snr)
        table = self.decay.to(log_snr)
        i = torch.searchsorted(table, decay.contiguous()).clamp(1, self.steps)
        return (i - 1 + (decay - table[i - 1]) / (table[i] - table[i - 1])) / self.steps

    def nearest(self, t: Tensor) -> Tensor:
        return (t * self.steps).ceil().clamp(1, self.steps) / self.steps

    def number(self, t: Tensor) -> Tensor:
        return t * self.steps - 1.0

    def _at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        r""":math:`-\log \alpha^2` and its derivative, that before a step at the step itself."""
        table = self.decay.to(t)
        # Rounding of t * T must not carry a step into the next.
        i = (t * self.steps - 1e-3).ceil().clamp(1, self.steps).long()
        rate = (table[i] - table[i - 1]) * self.steps
        return table[i - 1] + rate * (t - (i - 1) / self.steps), rate


def _variances(schedule: str, steps: int, low: float, high: float) -> Tensor:
    """The variances of the steps, ``[T]`` in float64 on the CPU."""
    if schedule == "cosine":
        t = torch.linspace(0.0, 1.0, steps + 1, dtype=torch.float64, device="cpu")
        signal = torch.cos(0.5 * math.pi * (t + 0.008) / 1.008).square()
        return (1.0 - signal[1:] / signal[:-1]).clamp(max=MOST)
    power = 0.5 if schedule == "scaled_linear" else 1.0
    roots = torch.linspace(low**power, high**power, steps, dtype=torch.float64, device="cpu")
    return roots.pow(1.0 / power)
