"""Variational bound of the likelihood in discrete time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, Discriminator, Field, PositiveInt, Tag
from torch import Tensor, nn

from zoo import Event, Part, Settings, named, sum_event

from ..paths.base import Level, Path
from ..solvers.base import Predict
from ..solvers.grid import Grid
from .ode import OdeLikelihood

DEFAULTS: Any = {}
"""A declaration with nothing in it: a default is validated as YAML is."""
FAR = 1e6
"""The ends of the first and the last cell of levels."""


class Elbo(Settings):
    """Declaration of the variational bound as the likelihood: its steps, their grid, and how many are evaluated.

    ``terms`` are the steps that are evaluated for each value, chosen at random without bias; null for all of them.
    """

    type: Literal["elbo"]
    steps: int = Field(default=1000, ge=2)
    terms: PositiveInt | None = None
    grid: Part[Grid] = named("uniform")

    def built(self, event: Event) -> DiscreteBound:
        """The parts, for an event."""
        return DiscreteBound(event, self.steps, self.terms, self.grid())


def _named(value: Any) -> Any:
    return {"type": "elbo"} if value == "elbo" else value


def _kind(value: Any) -> str:
    bound = isinstance(value, Elbo) or (isinstance(value, Mapping) and value.get("type") == "elbo")
    return (Elbo if bound else OdeLikelihood).__name__


Declared = Annotated[Elbo, Tag("Elbo")] | Annotated[OdeLikelihood, Tag("OdeLikelihood")]
Likelihood = Annotated[Declared, Discriminator(_kind), BeforeValidator(_named)]
"""How a likelihood is computed: ``elbo``, or settings of the one along the equation."""


class DiscreteBound(nn.Module):
    r"""Evidence lower bound of DDPM, of ancestral sampling with the variances of the posterior.

    .. math:: \log p(x_0) \ge -\mathrm{KL}\bigl(q(x_{t_T} \mid x_0) \,\|\, \mathcal{N}(0, n^2 I)\bigr)
       - \tfrac12 \sum_{i=2}^{T} \bigl(e^{\lambda_{i-1}} - e^{\lambda_i}\bigr) \| x_0 - \hat x_0(x_{t_i}) \|^2
       + \log p(x_0 \mid x_{t_1})

    each by a draw of its noise. The last term is normal about :math:`\hat x_0(x_{t_1})` with the variance
    :math:`\sigma_1^2 / \alpha_1^2`, for levels its integral over a cell whose first and last are open. More steps
    tighten the bound.

    References: Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239, eq. 5 and 13; the second
    term in this form: Kingma et al., Variational Diffusion Models, 2021, arXiv:2107.00630, eq. 14.
    """

    exact = False
    unbiased = False
    fills = False

    def __init__(self, event: Event, steps: int, terms: int | None, grid: Grid) -> None:
        super().__init__()
        self.levels = event.levels
        self.steps, self.terms, self.grid = steps, terms, grid

    def log_prob(self, predict: Predict, path: Path, data: Tensor, spread: float, depends: Sequence[Tensor]) -> Tensor:
        """The bound of data ``[B, *shape]``, in nats, ``[B]``."""
        times = self.grid.times(path, self.steps)
        indices = [0] if data.is_meta else self._chosen(len(times) - 1)
        factor = (len(times) - 1) / len(indices)
        bound: Tensor = self._last(predict, path, data, times[-1]) - self._prior(path.level(times[0]), data, spread)
        for i in indices:
            now, then = path.level(times[i]), path.level(times[i + 1])
            x = now.alpha * data + now.sigma * torch.randn_like(data)
            error = sum_event((data - predict(x, times[i]).data).square())
            bound = bound - 0.5 * factor * (_snr(then) - _snr(now)) * error
        return bound

    def _chosen(self, count: int) -> list[int]:
        """The steps to evaluate: at equal distances, with one random shift."""
        if self.terms is None or self.terms >= count:
            return list(range(count))
        shift = float(torch.rand((), device="cpu"))
        return [min(int((k + shift) / self.terms * count), count - 1) for k in range(self.terms)]

    def _prior(self, level: Level, data: Tensor, spread: float) -> Tensor:
        """The divergence of noisy data from the noise that draws begin with, ``[B]``."""
        variance = (float(level.sigma) / spread) ** 2
        mean = sum_event((level.alpha / spread * data).square())
        kl: Tensor = 0.5 * (mean + data[0].numel() * (variance - 1.0 - math.log(variance)))
        return kl

    def _last(self, predict: Predict, path: Path, data: Tensor, t: float) -> Tensor:
        r""":math:`\log p(x_0 \mid x_{t_1})`, ``[B]``."""
        level = path.level(t)
        x = level.alpha * data + level.sigma * torch.randn_like(data)
        mean, sd = predict(x, t).data, float(level.sigma / level.alpha)
        if self.levels is None:
            standard = (data - mean) / sd
            return sum_event(-0.5 * standard.square() - math.log(sd) - 0.5 * math.log(2.0 * math.pi))
        half = 1.0 / max(self.levels - 1, 1)
        low = torch.where(data < -1.0 + half, -FAR, (data - half - mean) / sd)
        high = torch.where(data > 1.0 - half, FAR, (data + half - mean) / sd)
        return sum_event(log_normal_between(low, high))


def log_normal_between(low: Tensor, high: Tensor) -> Tensor:
    """The logarithm of the mass of a standard normal distribution between two numbers, exact in its tails.

    >>> [round(x, 2) for x in log_normal_between(torch.tensor([-1.96, 20.0]), torch.tensor([1.96, 21.0])).tolist()]
    [-0.05, -203.92]
    """
    right = low > 0.0
    low, high = torch.where(right, -high, low), torch.where(right, -low, high)
    above, below = torch.special.log_ndtr(high), torch.special.log_ndtr(low)
    mass: Tensor = above + torch.log(-torch.expm1((below - above).clamp(max=-1e-12)))
    return mass


def _snr(level: Level) -> float:
    return float(level.alpha / level.sigma) ** 2
