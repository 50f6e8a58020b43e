"""Samplers of training times, with their densities."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from pydantic import PositiveFloat
from torch import Tensor

from zoo import Component, Part, component, named

from .paths.base import Path

if TYPE_CHECKING:
    from zoo.testing import Laws


class TimeSampler(Component, ABC):
    """Distribution of the times of a path that a network is trained at, between its ``start`` and its ``end``.

    Where it has more mass the loss has less variance; its mean is unchanged, since the density is divided out.

    Shapes: uniform numbers, times and densities ``[B]``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def quantile(self, u: Tensor) -> Tensor:
        """The times of numbers in [0, 1], increasing."""

    @abstractmethod
    def density(self, t: Tensor) -> Tensor:
        """The density of a time."""

    def uniforms(self, n: int, like: Tensor) -> Tensor:
        """``n`` uniform numbers, in the dtype and on the device of a tensor."""
        return torch.rand(n, dtype=like.dtype, device=like.device)

    def draw(self, n: int, like: Tensor) -> Tensor:
        """``n`` random times."""
        # One is left out: a path may have no signal at its end, and so no finite log-SNR.
        return self.path.nearest(self.quantile(self.uniforms(n, like).clamp(1e-6, 1.0 - 1e-6)))

    @classmethod
    def laws(cls) -> Laws:
        from .laws.times import LAWS

        return LAWS


@component("uniform")
class UniformTimes(TimeSampler):
    r"""Uniform times.

    .. math:: t \sim \mathcal{U}[t_0, t_1]
    """

    def quantile(self, u: Tensor) -> Tensor:
        return self.path.start + u * (self.path.end - self.path.start)

    def density(self, t: Tensor) -> Tensor:
        return torch.full_like(t, 1.0 / (self.path.end - self.path.start))


@component("log_normal")
class LogNormal(TimeSampler):
    r"""Times at which the noise is log-normal, cut off at the ends of the path.

    .. math:: \log \frac{\sigma(t)}{\alpha(t)} \sim \mathcal{N}(m, d^2)

    Args:
        mean: The mean :math:`m`.
        sd: The standard deviation :math:`d`.

    References: Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, 2022,
    arXiv:2206.00364, table 1.
    """

    def __init__(self, path: Path, *, mean: float = -1.2, sd: PositiveFloat = 1.2) -> None:
        super().__init__(path)
        self.mean, self.sd = mean, sd
        first, last = path.level(path.start), path.level(path.end)
        low = math.log(first.sigma / first.alpha)
        high = math.log(last.sigma / last.alpha) if last.alpha > 0 else math.inf
        self.low, self.high = _below((low - mean) / sd), _below((high - mean) / sd)
        if self.high - self.low < 0.01:
            raise ValueError(f"the path has next to none of the noise of mean {mean:g} and sd {sd:g}")

    def quantile(self, u: Tensor) -> Tensor:
        normal = torch.special.ndtri(self.low + u * (self.high - self.low))
        t = self.path.time_of(-2.0 * (self.mean + self.sd * normal))
        return t.clamp(self.path.start, self.path.end)

    def density(self, t: Tensor) -> Tensor:
        standard = (-0.5 * self.path.log_snr(t) - self.mean) / self.sd
        density = torch.exp(-0.5 * standard.square()) / (self.sd * math.sqrt(2.0 * math.pi))
        return density * 0.5 * self.path.slope(t) / (self.high - self.low)


@component("logit_normal")
class LogitNormal(TimeSampler):
    r"""Logit-normal times: more of them in the middle.

    .. math:: \operatorname{logit} \frac{t - t_0}{t_1 - t_0} \sim \mathcal{N}(m, d^2)

    Args:
        mean: The mean :math:`m`; below zero for more times near the data.
        sd: The standard deviation :math:`d`.

    References: Esser et al., Scaling Rectified Flow Transformers, 2024, arXiv:2403.03206, sec. 3.1.
    """

    def __init__(self, path: Path, *, mean: float = 0.0, sd: PositiveFloat = 1.0) -> None:
        super().__init__(path)
        self.mean, self.sd = mean, sd

    def quantile(self, u: Tensor) -> Tensor:
        part = torch.sigmoid(self.mean + self.sd * torch.special.ndtri(u))
        return self.path.start + part * (self.path.end - self.path.start)

    def density(self, t: Tensor) -> Tensor:
        width = self.path.end - self.path.start
        part = (t - self.path.start) / width
        standard = (torch.logit(part) - self.mean) / self.sd
        density = torch.exp(-0.5 * standard.square()) / (self.sd * math.sqrt(2.0 * math.pi))
        return density / (part * (1.0 - part) * width)


@component("low_discrepancy", example={"of": "uniform"})
class LowDiscrepancy(TimeSampler):
    r"""Evenly spaced times of a batch, in random order and with one random shift.

    .. math:: u_i = \Bigl(u + \frac{\pi(i)}{B}\Bigr) \bmod 1, \qquad u \sim \mathcal{U}[0, 1]

    Each time has the same distribution as before, and the mean over a batch has less variance.

    Args:
        of: The distribution of a time.

    References: Kingma et al., Variational Diffusion Models, 2021, arXiv:2107.00630, app. I.1.
    """

    def __init__(self, path: Path, *, of: Part[TimeSampler] = named("uniform")) -> None:
        super().__init__(path)
        self.of = of(path)

    def quantile(self, u: Tensor) -> Tensor:
        return self.of.quantile(u)

    def density(self, t: Tensor) -> Tensor:
        return self.of.density(t)

    def uniforms(self, n: int, like: Tensor) -> Tensor:
        shift = torch.rand((), dtype=like.dtype, device=like.device)
        order = torch.randperm(n, device=like.device).to(like.dtype)
        return torch.remainder(shift + order / n, 1.0)


def _below(x: float) -> float:
    """The share of a standard normal distribution that is below a number."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))
