"""Paths in closed form."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from pydantic import PositiveFloat
from torch import Tensor
from torch.nn.functional import softplus

from zoo import component

from .base import Norm, Path

NEAR = 1e-5
"""The time at which paths without a residue of noise begin: their log-SNR is infinite at zero."""


@component("vp")
class VariancePreserving(Path):
    r"""Variance-preserving path of a linear rate of noise: the limit of DDPM.

    .. math:: \log \alpha(t) = -\tfrac14 t^2 (\beta_1 - \beta_0) - \tfrac12 t \beta_0, \qquad
       \sigma(t)^2 = 1 - \alpha(t)^2, \qquad 0 \le t \le 1

    Args:
        low: The rate :math:`\beta_0` at the data.
        high: The rate :math:`\beta_1` at the noise.

    References: Song et al., Score-Based Generative Modeling through SDEs, 2020, arXiv:2011.13456, eq. 33.

    >>> import torch
    >>> alpha, sigma = VariancePreserving().coefficients(torch.tensor(1.0))
    >>> round(alpha.item(), 4), round(sigma.item(), 4)
    (0.0066, 1.0)
    """

    start, end = NEAR, 1.0

    def __init__(self, *, low: PositiveFloat = 0.1, high: PositiveFloat = 20.0) -> None:
        if high <= low:
            raise ValueError(f"high must be above low, got {high:g} and {low:g}")
        self.low, self.high = low, high

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        log_alpha = -0.25 * t.square() * (self.high - self.low) - 0.5 * t * self.low
        return log_alpha.exp(), (-torch.expm1(2.0 * log_alpha)).sqrt()

    def derivatives(self, t: Tensor) -> tuple[Tensor, Tensor]:
        alpha, sigma = self.coefficients(t)
        rate = self.low + t * (self.high - self.low)
        return -0.5 * rate * alpha, 0.5 * rate * alpha.square() / sigma

    def time_of(self, log_snr: Tensor) -> Tensor:
        decay, width = softplus(-log_snr), self.high - self.low  # -log alpha^2
        return 2.0 * decay / (self.low + (self.low**2 + 2.0 * width * decay).sqrt())


@component("cosine")
class Cosine(Path):
    r"""Cosine path, a quarter of a circle.

    .. math:: \alpha(t) = \cos(\pi t / 2), \qquad \sigma(t) = \sin(\pi t / 2), \qquad 0 \le t \le 1

    References: Nichol and Dhariwal, Improved Denoising Diffusion Probabilistic Models, 2021, arXiv:2102.09672, eq. 17,
    without its offset; Salimans and Ho, Progressive Distillation, 2022, arXiv:2202.00512, sec. 4.

    >>> import torch
    >>> Cosine().log_snr(torch.tensor(0.5)).abs().item() < 1e-6
    True
    """

    start, end = NEAR, 1.0

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        # The sine of the rest: the cosine of a rounded pi / 2 is not zero.
        return torch.sin(0.5 * math.pi * (1.0 - t)), torch.sin(0.5 * math.pi * t)

    def derivatives(self, t: Tensor) -> tuple[Tensor, Tensor]:
        alpha, sigma = self.coefficients(t)
        return -0.5 * math.pi * sigma, 0.5 * math.pi * alpha

    def time_of(self, log_snr: Tensor) -> Tensor:
        return torch.atan(torch.exp(-0.5 * log_snr)) * (2.0 / math.pi)


@component("ve")
class VarianceExploding(Path):
    r"""Variance-exploding path: noise that grows geometrically, on unchanged data.

    .. math:: \alpha(t) = 1, \qquad \sigma(t) = \sigma_0 (\sigma_1 / \sigma_0)^t, \qquad 0 \le t \le 1

    Args:
        low: The noise :math:`\sigma_0` of the data.
        high: The noise :math:`\sigma_1` that sampling begins with, well above the largest distance of two examples.

    References: Song et al., Score-Based Generative Modeling through SDEs, 2020, arXiv:2011.13456, eq. 31.

    >>> import torch
    >>> round(VarianceExploding(low=0.01, high=100.0).coefficients(torch.tensor(0.5))[1].item(), 6)
    1.0
    """

    norm: ClassVar[Norm] = "signal"
    start, end = 0.0, 1.0

    def __init__(self, *, low: PositiveFloat = 0.01, high: PositiveFloat = 50.0) -> None:
        if high <= low:
            raise ValueError(f"high must be above low, got {high:g} and {low:g}")
        self.low, self.growth = low, math.log(high / low)
        self.residue = low

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(t), self.low * torch.exp(self.growth * t)

    def derivatives(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(t), self.growth * self.coefficients(t)[1]

    def time_of(self, log_snr: Tensor) -> Tensor:
        return (-0.5 * log_snr - math.log(self.low)) / self.growth


@component("rectified")
class Rectified(Path):
    r"""Straight line from data to noise: rectified flow, or flow matching with optimal-transport paths.

    .. math:: \alpha(t) = 1 - t, \qquad \sigma(t) = t, \qquad 0 \le t \le 1

    References: Liu et al., Flow Straight and Fast, 2022, arXiv:2209.03003; Lipman et al., Flow Matching for Generative
    Modeling, 2022, arXiv:2210.02747, eq. 20-23.

    >>> import torch
    >>> Rectified().coefficients(torch.tensor(0.25))
    (tensor(0.7500), tensor(0.2500))
    """

    norm: ClassVar[Norm] = "sum"
    start, end = NEAR, 1.0

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return 1.0 - t, t.clone()

    def derivatives(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return -torch.ones_like(t), torch.ones_like(t)

    def time_of(self, log_snr: Tensor) -> Tensor:
        return torch.sigmoid(-0.5 * log_snr)


@component("edm")
class EDM(Path):
    r"""Path whose time is the noise itself.

    .. math:: \alpha(t) = 1, \qquad \sigma(t) = t, \qquad \sigma_0 \le t \le \sigma_1

    Args:
        low: The noise :math:`\sigma_0` at which sampling ends.
        high: The noise :math:`\sigma_1` that sampling begins with.

    References: Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, 2022,
    arXiv:2206.00364, table 1.

    >>> import torch
    >>> EDM().coefficients(torch.tensor(3.0))
    (tensor(1.), tensor(3.))
    """

    norm: ClassVar[Norm] = "signal"

    def __init__(self, *, low: PositiveFloat = 0.002, high: PositiveFloat = 80.0) -> None:
        if high <= low:
            raise ValueError(f"high must be above low, got {high:g} and {low:g}")
        self.start, self.end = low, high

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(t), t.clone()

    def derivatives(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(t), torch.ones_like(t)

    def time_of(self, log_snr: Tensor) -> Tensor:
        return torch.exp(-0.5 * log_snr)


@component("sigmoid")
class Sigmoid(Path):
    r"""Variance-preserving path whose signal is a part of a sigmoid.

    .. math:: \alpha(t)^2 = \frac{S(e / \tau) - S((s + t (e - s)) / \tau)}{S(e / \tau) - S(s / \tau)}, \qquad
       \sigma(t)^2 = 1 - \alpha(t)^2, \qquad S(x) = \frac{1}{1 + e^{-x}}, \qquad 0 \le t \le 1

    Args:
        low: The place :math:`s` of the data on the sigmoid.
        high: The place :math:`e` of the noise on it.
        temperature: The width :math:`\tau` of the sigmoid.

    References: Jabri et al., Scalable Adaptive Computation for Iterative Generation, 2022, arXiv:2212.11972, sec. 2.3.

    >>> import torch
    >>> Sigmoid().coefficients(torch.tensor(0.5))
    (tensor(0.7071), tensor(0.7071))
    """

    start, end = NEAR, 1.0

    def __init__(self, *, low: float = -3.0, high: float = 3.0, temperature: PositiveFloat = 1.0) -> None:
        if high <= low:
            raise ValueError(f"high must be above low, got {high:g} and {low:g}")
        self.s, self.e, self.tau = low, high, temperature
        self.top, self.bottom = _sigmoid(high / temperature), _sigmoid(low / temperature)

    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        S = torch.sigmoid((self.s + t * (self.e - self.s)) / self.tau)
        width = self.top - self.bottom
        return ((self.top - S) / width).clamp(min=0.0).sqrt(), ((S - self.bottom) / width).clamp(min=0.0).sqrt()

    def derivatives(self, t: Tensor) -> tuple[Tensor, Tensor]:
        S = torch.sigmoid((self.s + t * (self.e - self.s)) / self.tau)
        rate = S * (1.0 - S) * (self.e - self.s) / self.tau / (self.top - self.bottom)  # of sigma^2
        alpha, sigma = self.coefficients(t)
        return -0.5 * rate / alpha, 0.5 * rate / sigma

    def time_of(self, log_snr: Tensor) -> Tensor:
        S = self.top - (self.top - self.bottom) * torch.sigmoid(log_snr)
        return (self.tau * torch.logit(S) - self.s) / (self.e - self.s)


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))
