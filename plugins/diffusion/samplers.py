"""Samplers of diffusion models: another solver or guidance, ancestral sampling, EDM's stochastic one, and Langevin
steps as correctors.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal, final

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from zoo import Condition, Model, Part, Sampler, advanced, component, named

from .completion import posterior, posterior_variance
from .diffusion import Diffusion
from .guidance.labels import Guidance
from .paths.base import Level, Path, noise_ratio
from .solvers.base import DiffusionSolver, Predict
from .solvers.grid import Grid
from .targets import Prediction


class DiffusionSampler(Sampler, ABC):
    """Sampler of a diffusion model; ValueError for another model, and for guidance that it cannot have.

    One that adds noise refuses a model whose coupling is not independent, since the noise that it predicts is not a
    score.
    """

    adds_noise: ClassVar[bool] = True
    """Whether draws depend on more than the noise that they begin with."""

    def __init__(self, model: Model, *, guidance: Part[Guidance] | None = None) -> None:
        super().__init__(model)
        if not isinstance(model, Diffusion):
            raise ValueError("needs a diffusion model")
        if self.adds_noise and not model.coupling.independent:
            raise ValueError("adds noise by the score, which the model's coupling does not give: use the sampler 'ode'")
        self.diffusion: Diffusion = model
        self.guidance = model.guidance
        if guidance is not None:
            self.guidance = guidance()
            self.guidance.fit(model, model.null is not None)

    @abstractmethod
    def draw(self, predict: Predict, path: Path, x: Tensor) -> Tensor:
        """Data on the scale of the network, from noise."""

    @final
    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        model = self.diffusion
        predict = model.predictor(model.condition(context), self.guidance, context)
        x = model.spread * model.draw_latent(n, context, temperature)
        return model.as_data(self.draw(predict, model.path, x))


@component("ode")
class Ode(DiffusionSampler):
    """Draws by the probability-flow equation, with another solver or guidance than the model's own.

    Args:
        solver: The solver.
        guidance: The guidance; ``null`` for the model's.
    """

    adds_noise = False

    def __init__(
        self, model: Model, *, solver: Part[DiffusionSolver] = named("heun"), guidance: Part[Guidance] | None = None
    ) -> None:
        super().__init__(model, guidance=guidance)
        self.solver = solver()

    def draw(self, predict: Predict, path: Path, x: Tensor) -> Tensor:
        times = self.solver.grid.times(path, self.solver.steps)
        return predict(self.solver.solve(predict, path, x, times), times[-1]).data


@component("ancestral")
class Ancestral(DiffusionSampler):
    r"""Ancestral sampling: each step draws from the posterior of less noise, given the predicted data.

    .. math:: x_{t'} \sim q(x_{t'} \mid x_t, \hat x_0)

    With :math:`\eta = 0` it is `ddim`.

    Args:
        steps: The number of evaluations.
        grid: The times.
        variance: The variance of a step: ``small``, that of the posterior, or ``large``, that of the noise between the
            two times, which DDPM has for images.
        eta: The factor :math:`\eta` of the noise of the posterior; only with ``small``.
        guidance: The guidance; ``null`` for the model's.

    References: Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239, alg. 2 and sec. 3.2; the
    factor: Song et al., Denoising Diffusion Implicit Models, 2020, arXiv:2010.02502, eq. 12 and 16.
    """

    def __init__(
        self,
        model: Model,
        *,
        steps: PositiveInt = 100,
        grid: Part[Grid] = named("uniform"),
        variance: Literal["small", "large"] = "small",
        eta: Annotated[float, Field(ge=0, le=1)] = 1.0,
        guidance: Part[Guidance] | None = None,
    ) -> None:
        super().__init__(model, guidance=guidance)
        self.steps, self.grid, self.variance, self.eta = steps, grid(), variance, eta

    def draw(self, predict: Predict, path: Path, x: Tensor) -> Tensor:
        times = self.grid.times(path, self.steps)
        for i, (t, after) in enumerate(itertools.pairwise(times)):
            now, then = path.level(t), path.level(after)
            found = predict(x, t)
            if self.variance == "small":
                x = posterior(found, now, then, torch.randn_like(x), self.eta)
            else:
                v = posterior_variance(now, then)
                kept = max(float(then.sigma) ** 2 - v, 0.0) ** 0.5
                between = float(now.sigma) ** 2 - (float(now.alpha) / float(then.alpha) * float(then.sigma)) ** 2
                noise = max(between, 0.0) ** 0.5 * torch.randn_like(x)
                x = then.alpha * found.data + kept * found.noise + noise
            advanced(i + 1, len(times))
        return predict(x, times[-1]).data


@component("churn")
class Churn(DiffusionSampler):
    r"""EDM's stochastic sampler: noise is added before each step, and the solver removes it.

    .. math:: \hat\sigma = (1 + \gamma)\, \sigma, \qquad
       \hat x = x + \sqrt{\hat\sigma^2 - \sigma^2}\; s\, z, \qquad \gamma = \min(c / N, \sqrt2 - 1)

    with :math:`\sigma` the noise-to-signal ratio, and x divided by the signal.

    Args:
        solver: The solver; it must not remember earlier steps.
        churn: The amount of noise :math:`c`; with 0 the draws are those of the solver.
        low: The least noise-to-signal ratio at which noise is added.
        high: The largest.
        noise: The factor :math:`s` of the noise.
        guidance: The guidance; ``null`` for the model's.

    References: Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, 2022,
    arXiv:2206.00364, alg. 2.
    """

    def __init__(
        self,
        model: Model,
        *,
        solver: Part[DiffusionSolver] = named("heun"),
        churn: NonNegativeFloat = 20.0,
        low: NonNegativeFloat = 0.05,
        high: PositiveFloat = 50.0,
        noise: PositiveFloat = 1.003,
        guidance: Part[Guidance] | None = None,
    ) -> None:
        super().__init__(model, guidance=guidance)
        self.solver = solver()
        if self.solver.remembers:
            raise ValueError("needs a solver that does not remember earlier steps, such as 'heun'")
        self.churn, self.low, self.high, self.noise = churn, low, high, noise

    def draw(self, predict: Predict, path: Path, x: Tensor) -> Tensor:
        times = self.solver.grid.times(path, self.solver.steps)
        gamma = min(self.churn / len(times), 2.0**0.5 - 1.0)
        for i, (t, after) in enumerate(itertools.pairwise(times)):
            ratio = noise_ratio(path.level(t))
            if gamma > 0.0 and self.low <= ratio <= self.high and (1.0 + gamma) * ratio <= _most(path):
                t, x = self._noisier(path, x, t, ratio, (1.0 + gamma) * ratio)  # noqa: PLW2901
            x = self.solver.step(predict, path, x, t, after)
            advanced(i + 1, len(times))
        return predict(x, times[-1]).data

    def _noisier(self, path: Path, x: Tensor, t: float, ratio: float, wanted: float) -> tuple[float, Tensor]:
        """A time of more noise, and data with as much."""
        later = path.time_at(-2.0 * math.log(wanted))
        noise = self.noise * (wanted**2 - ratio**2) ** 0.5 * torch.randn_like(x)
        return later, path.level(later).alpha * (x / path.level(t).alpha + noise)


@component("predictor_corrector")
class PredictorCorrector(DiffusionSampler):
    r"""Predictor-corrector sampling: each ancestral step is followed by Langevin steps at its level of noise.

    .. math:: x \leftarrow x + \varepsilon\, s(x) + \sqrt{2 \varepsilon}\, z, \qquad
       s(x) = -\hat\epsilon / \sigma, \qquad \varepsilon = 2 r^2 \sigma^2

    The published length of a step, :math:`2 (r \|z\| / \|s\|)^2`, has the mean norms of a batch, by which a draw would
    depend on others; these are the expected ones of noise, :math:`\|z\|^2 = D` and :math:`\|s\|^2 = D / \sigma^2`.

    Args:
        steps: The number of ancestral steps and one.
        grid: The times.
        corrections: The number of Langevin steps after each; each takes an evaluation.
        snr: The ratio :math:`r` of the two parts of a Langevin step, the score's and the noise's.
        guidance: The guidance; ``null`` for the model's.

    References: Song et al., Score-Based Generative Modeling through SDEs, 2020, arXiv:2011.13456, alg. 2-5 and app. G.
    """

    def __init__(
        self,
        model: Model,
        *,
        steps: PositiveInt = 500,
        grid: Part[Grid] = named("uniform"),
        corrections: PositiveInt = 1,
        snr: PositiveFloat = 0.16,
        guidance: Part[Guidance] | None = None,
    ) -> None:
        super().__init__(model, guidance=guidance)
        self.steps, self.grid, self.corrections, self.snr = steps, grid(), corrections, snr

    def draw(self, predict: Predict, path: Path, x: Tensor) -> Tensor:
        times = self.grid.times(path, self.steps)
        for i, (t, after) in enumerate(itertools.pairwise(times)):
            now, then = path.level(t), path.level(after)
            x = posterior(predict(x, t), now, then, torch.randn_like(x))
            for _ in range(self.corrections):
                x = langevin_step(x, predict(x, after), then, torch.randn_like(x), self.snr)
            advanced(i + 1, len(times))
        return predict(x, times[-1]).data


def langevin_step(x: Tensor, found: Prediction, level: Level, noise: Tensor, snr: float) -> Tensor:
    r"""A step of Langevin dynamics at a level of noise, of length :math:`2 r^2 \sigma^2`.

    >>> at, zero = Level(1.0, 2.0, 0.0, 1.0), torch.zeros(1)
    >>> langevin_step(zero, Prediction(zero, torch.ones(1)), at, zero, 0.5)
    tensor([-1.])
    """
    length = 2.0 * (snr * float(level.sigma)) ** 2
    moved: Tensor = x + length * found.score(level) + (2.0 * length) ** 0.5 * noise
    return moved


def _most(path: Path) -> float:
    return noise_ratio(path.level(path.end))
