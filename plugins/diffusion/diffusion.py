"""Diffusion model, or flow matching: one model whose every choice is a part."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from zoo import (
    Batch,
    Clock,
    Completes,
    Condition,
    Decodes,
    Event,
    Known,
    Model,
    Part,
    Reconstructs,
    Scores,
    Terms,
    Traces,
    Varies,
    component,
    named,
    sum_event,
)

from ..shared.context import Context, check_context, vectors_of
from ..shared.dequantization import Dequantization
from ..shared.events import evenly, nearest_level
from ..shared.precision import lifted
from .completion import completed
from .couplings import Coupling
from .guidance.labels import Given, Guidance
from .likelihoods.elbo import DEFAULTS, Likelihood
from .nets.base import Denoiser
from .paths.base import Path
from .solvers.base import DiffusionSolver, Predict
from .targets import Prediction, Target
from .times import TimeSampler
from .weightings import FURTHEST, NoiseWeighting


@component(
    "diffusion",
    example={"net": {"type": "time_mlp", "width": 8, "depth": 1}, "solver": {"type": "heun", "steps": 3}},
    added={"coupling": {"type": "independent"}},
)
class Diffusion(Model, Scores, Reconstructs, Decodes, Completes, Traces, Varies):
    r"""Diffusion model, or flow matching: a network that separates data and noise at every level, and an equation that
    carries noise to data by it.

    .. math:: x_t = \alpha(t)\, x_0 + \sigma(t)\, \epsilon, \qquad
       L = \tfrac12\, \mathrm{E}_{t, x_0, \epsilon} \Bigl[ \frac{w(\lambda_t)}{p(\lambda_t)}
       \bigl\| \hat\epsilon(x_t, t) - \epsilon \bigr\|^2 \Bigr], \qquad
       \dot x = \dot\alpha\, \hat x_0(x, t) + \dot\sigma\, \hat\epsilon(x, t)

    The log-SNR is :math:`\lambda = \log \alpha^2 / \sigma^2`, and :math:`p(\lambda)` its density at the times of
    training. Draws solve the equation from noise to data, codes from data to noise, and the likelihood is that of the
    flow along it. Score matching, DDPM, EDM and flow matching differ in the parts: their paths, targets, weightings and
    times.

    Data with levels is scaled to [-1, 1]; with ``dequantize``, noise fills the cells first, and without it the
    likelihood takes a cell to be one level wide. Either likelihood is a bound of that of the levels, and so is the one
    of ``elbo``, which is of the levels themselves.

    ValueError for a target that its path does not determine, a context that no part takes, guidance that it
    cannot have, a coupling that depends on data with a context of other than labels, and
    ``dequantize`` for continuous data or with ``elbo``.

    Args:
        net: The network, built for the shape of the data.
        path: The path from data to noise.
        target: What the network predicts.
        weighting: The weight of each log-SNR in the loss.
        times: The distribution of the times in training.
        coupling: The noise that each example of a batch is paired with.
        solver: The solver of the equation, for draws and codes.
        likelihood: How the likelihood is computed: along the equation, or ``elbo``, the bound of DDPM in discrete time,
            which takes an evaluation for each of its ``terms``.
        level: What the network gets of the noise level, as a number from 0 to 1000: its ``log_snr``, between -20 and
            20, or the ``time`` of the path.
        context: The conditioning on labels or features; ``null`` for none.
        label_dropout: The probability with which training replaces the vector of a label by that of no label.
        guidance: The guidance of draws and codes; ``null`` for the conditional model as it is.
        dequantize: The dequantisation of data with levels; ``null`` for the levels themselves.

    References: Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239; Song et al., Score-Based
    Generative Modeling through SDEs, 2020, arXiv:2011.13456, eq. 13 and 39; Kingma and Gao, Understanding Diffusion
    Objectives, 2023, arXiv:2303.00848; Lipman et al., Flow Matching, 2022, arXiv:2210.02747.

    Shapes: data ``[B, *event.shape]``; codes and latents likewise, of unit variance; ``log_prob`` ``[B]``, in nats.
    Logs ``error``, the squared error of the noise summed over the event, its mean at the times of training.

    >>> import torch, zoo
    >>> node = {"type": "diffusion", "net": "time_mlp"}
    >>> model = zoo.declare(zoo.Model, node)(zoo.Event("point", zoo.Shape(2))).eval()
    >>> model.sample(3).shape, model.log_prob(torch.zeros(3, 2)).shape
    (torch.Size([3, 2]), torch.Size([3]))
    """

    like: Tensor

    def __init__(
        self,
        event: Event,
        *,
        net: Part[Denoiser],
        path: Part[Path] = named("rectified"),
        target: Part[Target] = named("velocity"),
        weighting: Part[NoiseWeighting] = named("flow_matching"),
        times: Part[TimeSampler] = named("logit_normal"),
        coupling: Part[Coupling] = named("independent"),
        solver: Part[DiffusionSolver] = named("heun"),
        likelihood: Likelihood = DEFAULTS,
        level: Literal["log_snr", "time"] = "log_snr",
        context: Part[Context] | None = None,
        label_dropout: Annotated[float, Field(ge=0, le=1)] = 0.0,
        guidance: Part[Guidance] | None = None,
        dequantize: Part[Dequantization] | None = None,
    ) -> None:
        super().__init__(event)
        if event.levels is None and dequantize is not None:
            raise ValueError(f"'{event.name}' is continuous: leave out dequantize")
        self.path = path()
        self.target, self.weighting, self.times = target(self.path), weighting(self.path), times(self.path)
        self.solver, self.coupling = solver(), coupling()
        self.level: Literal["log_snr", "time"] = level
        self.net = net(event.shape, event.shape)
        self.dequantize = dequantize(event) if dequantize else None
        self.likelihood = likelihood.built(event)
        self.context = context(event) if context else None
        check_context(self.context, self.net)
        self.conditioned_on = self.context.sources if self.context else None
        if not self.coupling.independent and self.conditions not in ((), ("label",)):
            raise ValueError("its coupling needs a context of labels alone, within which noise is paired with data")
        if label_dropout and self.context is None:
            raise ValueError("label_dropout needs a context: declare one, such as 'embedding'")
        self.label_dropout = label_dropout
        self.null = nn.Parameter(torch.zeros(self.context.size)) if self.context and label_dropout else None
        self.guidance = guidance() if guidance else None
        if self.guidance is not None:
            if self.guidance.outside:
                raise ValueError(
                    "guidance by another file belongs to a sampler, such as 'ode': share files stand alone"
                )
            self.guidance.fit(self, self.null is not None)
        # Noise and data have the dtype of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)
        if not self.likelihood.fills and not self.coupling.independent:
            raise ValueError("the bound of the likelihood needs an independent coupling")
        if not self.likelihood.fills and dequantize is not None:
            raise ValueError("the bound of the likelihood is of levels themselves: leave out dequantize")
        self.exact = self.likelihood.exact and event.levels is None
        self.unbiased = self.likelihood.unbiased and event.levels is None

    # -- training ------------------------------------------------------------------------------------------------------

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        data, _ = self.scaled(batch[self.event.name])
        t = self.times.draw(data.shape[0], data)  # [B]
        level, log_snr = self.path.levels(t, data.dim()), self.path.log_snr(t)
        noise = self.coupling(data, torch.randn_like(data), batch.get("label") if self.conditions else None)
        x = level.alpha * data + level.sigma * noise
        output = lifted(self.net(self.target.scale(level) * x, self.number(t), self._dropped(self.given(batch))))
        error = sum_event((output - self.target.of(data, noise, level)).square())  # [B]
        of_noise = torch.as_tensor(self.target.noise_error(level)).reshape(-1).square() * error
        scale = self.path.slope(t) / self.times.density(t)
        penalty = self.event.shape.size * self.weighting.penalty(log_snr)
        loss = self.weighting(log_snr) * of_noise + penalty
        return Terms(0.5 * (scale * loss).mean(), {"error": of_noise})

    def _dropped(self, given: Condition | None) -> Tensor | None:
        """The vectors of the labels, some of them replaced by that of no label."""
        c = self.condition(given)
        if c is None or self.null is None:
            return c
        dropped = torch.rand(c.shape[0], 1, device=c.device) < self.label_dropout
        return torch.where(dropped, self.null, c)

    # -- the equation --------------------------------------------------------------------------------------------------

    def predictor(
        self, c: Tensor | None, guidance: Guidance | None = None, entries: Condition | None = None
    ) -> Predict:
        """The model as a function of noisy data and a time, given the vectors of labels, and the labels themselves for
        guidance by other models.
        """
        # Labels are needed at every step, and so is the vector of none.
        given = Given(entries, c, None if c is None or self.null is None else self.null.expand_as(c))

        def predict(x: Tensor, t: float) -> Prediction:
            level = self.path.level(t)
            number = self.number_at(t)

            def evaluate(x: Tensor, c: Tensor | None) -> Prediction:
                output = self.net(self.target.scale(level) * x, x.new_full((x.shape[0],), number), c)
                return self.target.predicted(lifted(output), x, level)

            return evaluate(x, c) if guidance is None else guidance(evaluate, x, level, given)

        return predict

    def number(self, t: Tensor) -> Tensor:
        """The number by which the network knows the noise level, from about 0 to about 1000."""
        if self.level == "time":
            return self.path.number(t)
        return 500.0 - 500.0 / FURTHEST * self.path.log_snr(t).clamp(-FURTHEST, FURTHEST)

    def number_at(self, t: float) -> float:
        """The `number` of one time, computed in float64."""
        if self.level == "time":
            return self.path.number_at(t)
        return 500.0 - 500.0 / FURTHEST * max(-FURTHEST, min(FURTHEST, self.path.log_snr_at(t)))

    @property
    def spread(self) -> float:
        """The standard deviation of the noise that draws begin with, of data with unit variance."""
        last = self.path.level(self.path.end)
        return float((last.alpha**2 + last.sigma**2) ** 0.5)

    # -- draws and codes -----------------------------------------------------------------------------------------------

    def draw_latent(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        return temperature * torch.randn(n, *self.event.shape, dtype=self.like.dtype, device=self.like.device)

    def decode(self, z: Tensor, context: Condition | None = None) -> Tensor:
        return self.as_data(self._decoded(z, context))

    def expect(self, z: Tensor, context: Condition | None = None) -> Tensor:
        return self.as_unit(self._decoded(z, context))

    def encode(self, x: Tensor, context: Condition | None = None) -> Tensor:
        data, _ = self.scaled(x)
        times = self.solver.grid.times(self.path, self.solver.steps)[::-1]
        predict = self.predictor(self.condition(context), self.guidance)
        start = self.path.level(self.path.start).alpha * data
        return self.solver.solve(predict, self.path, start, times) / self.spread

    def complete(self, known: Known, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        data, _ = self.scaled(known.x)
        predict = self.predictor(self.condition(context), self.guidance)
        times = self.solver.grid.times(self.path, self.solver.steps)
        x = completed(predict, self.path, data, known.mask, times, self.spread, temperature)
        return torch.where(known.mask, known.x, self.as_data(x).to(known.x.dtype))

    def trace(self, n: int, frames: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        times = self.solver.grid.times(self.path, self.solver.steps)
        predict = self.predictor(self.condition(context), self.guidance)
        x = self.spread * self.draw_latent(n, context, temperature)
        states = list(self.solver.states(predict, self.path, x, times))
        norms = [math.hypot(level.alpha, level.sigma) for level in map(self.path.level, times)]
        shown = [states[i] / norms[i] for i in evenly(len(times), frames)[:-1]]
        return torch.stack([self.as_unit(x) for x in (*shown, predict(states[-1], times[-1]).data)])

    def vary(self, x: Tensor, strength: float, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        data, _ = self.scaled(x)
        times = self.solver.grid.times(self.path, self.solver.steps)
        times = times[round((1.0 - strength) * len(times)) :]
        if not times:
            return x
        predict = self.predictor(self.condition(context), self.guidance)
        level = self.path.level(times[0])
        noisy = level.alpha * data + level.sigma * temperature * torch.randn_like(data)
        return self.as_data(predict(self.solver.solve(predict, self.path, noisy, times), times[-1]).data)

    def unseen(self, known: Tensor) -> Tensor:
        return torch.zeros(known.shape[0], dtype=torch.float64, device=known.device)

    def expect_in(self, steps: int, z: Tensor, context: Condition | None = None) -> Tensor:
        """As `expect`, in another number of steps of the solver."""
        return self.as_unit(self._decoded(z, context, steps))

    def _decoded(self, z: Tensor, context: Condition | None, steps: int | None = None) -> Tensor:
        """Draws on the scale of the network, from latents."""
        times = self.solver.grid.times(self.path, steps or self.solver.steps)
        predict = self.predictor(self.condition(context), self.guidance)
        x = self.solver.solve(predict, self.path, self.spread * z, times)
        return predict(x, times[-1]).data

    # -- likelihood ----------------------------------------------------------------------------------------------------

    def log_prob(self, x: Tensor, context: Condition | None = None) -> Tensor:
        data, log_det = self.scaled(x, fill=self.likelihood.fills)
        predict = self.predictor(self.condition(context))
        log_p = self.likelihood.log_prob(predict, self.path, data, self.spread, [*self.parameters()])
        return log_p + log_det if self.likelihood.fills else log_p

    # -- scales --------------------------------------------------------------------------------------------------------

    def condition(self, context: Condition | None) -> Tensor | None:
        """The context vector for the network, ``[B, N]``, from the entries of a batch."""
        return vectors_of(self.context, context)

    def scaled(self, x: Tensor, fill: bool = False) -> tuple[Tensor, Tensor]:
        """Data on the scale of the network, and the log-determinant of that; ``fill`` gives levels a width."""
        dtype, levels = self.like.dtype, self.event.levels
        D = self.event.shape.size
        if levels is None:
            return x.to(dtype), self.like
        if self.dequantize is not None:
            v, log_det = self.dequantize(x)
            return 2.0 * v - 1.0, log_det + D * math.log(2.0)
        width = 2.0 / max(levels - 1, 1)
        data = width * x.to(dtype) - 1.0
        if fill:
            data = data + width * (torch.rand_like(data) - 0.5)
        return data, self.like + D * math.log(width)

    def as_data(self, x: Tensor) -> Tensor:
        """Numbers on the scale of the network as data."""
        if self.event.levels is None:
            return x
        if self.dequantize is not None:
            return self.dequantize.inverse(0.5 * x + 0.5)
        return nearest_level(0.5 * (x + 1.0) * max(self.event.levels - 1, 1), self.event.levels)

    def as_unit(self, x: Tensor) -> Tensor:
        """Numbers on the scale of the network on that of `zoo.Event.unit`."""
        return x if self.event.levels is None else (0.5 * x + 0.5).clamp(0.0, 1.0)
