"""Consistency model: from noise to data in one evaluation, learned from scratch or from a diffusion model."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Self

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from zoo import (
    Batch,
    Clock,
    Condition,
    Decodes,
    Event,
    Model,
    Part,
    Sampler,
    Terms,
    advanced,
    component,
    named,
    sum_event,
)

from ...shared.context import Context, check_context, vectors_of
from ...shared.events import as_data
from ...shared.precision import lifted
from ..diffusion import Diffusion
from ..nets.base import Denoiser
from ..paths.closed import EDM
from ..times import TimeSampler

RHO = 7.0
"""The root of the noise in which levels are equally spaced."""


@component("consistency", example={"net": {"type": "time_mlp", "width": 8, "depth": 1}})
class Consistency(Model, Decodes):
    r"""Consistency model: a function from noisy data to the data at the end of its path, learned from its own values at
    less noise.

    .. math:: f(x, \sigma) = c_{\mathrm{skip}}\, x + c_{\mathrm{out}}\, F(c_{\mathrm{in}} x, \log \sigma), \qquad
       L = \mathrm{E}_{i, x_0, z} \Bigl[ \frac{1}{\sigma_{i+1} - \sigma_i}
       d\bigl(f(x_{i+1}, \sigma_{i+1}), \operatorname{sg} f(x_i, \sigma_i)\bigr) \Bigr], \qquad
       d(u, v) = \sqrt{\|u - v\|^2 + c^2} - c

    with :math:`x_{i+1} = x_0 + \sigma_{i+1} z`, and

    .. math:: c_{\mathrm{skip}} = \frac{s^2}{(\sigma - \sigma_0)^2 + s^2}, \quad
       c_{\mathrm{out}} = \frac{s (\sigma - \sigma_0)}{\sqrt{\sigma^2 + s^2}}, \quad
       c_{\mathrm{in}} = \frac{1}{\sqrt{\sigma^2 + s^2}}, \qquad f(x, \sigma_0) = x

    From scratch, :math:`x_i = x_0 + \sigma_i z` has the same noise. With a ``teacher`` it is one step of Heun's method
    from :math:`x_{i+1}` along the equation of that diffusion model, whose draws f then learns to jump to:
    ``init_from: [{file: F, into: teacher}, {file: F, match: "net.*"}]`` loads it, and starts from its network where it
    has the target ``edm``. The teacher is not trained.

    The n intervals of the levels :math:`\sigma_i`, equal in :math:`\sigma^{1/7}`, double in the course of training from
    ``first`` to ``last``: few for a small variance at first, many for a small bias at the end. An interval is as likely
    as noise of the distribution ``times`` is to fall into it.

    A draw is :math:`f(\sigma_1 z, \sigma_1)`. Each level :math:`\tau` in ``between`` adds one evaluation: noise up to
    that level, and :math:`f(x + \sqrt{\tau^2 - \sigma_0^2}\, z, \tau)`. The latent is the noise of all evaluations.

    ValueError for levels that do not fall, for more intervals first than last, a teacher that is no diffusion model on
    the same scale, and a context that the network does not take.

    Args:
        net: The network F.
        teacher: A trained diffusion model, whose equation is followed; ``null`` to learn from data alone.
        low: The noise :math:`\sigma_0` of data.
        high: The noise :math:`\sigma_1` that draws begin with.
        sigma_data: The standard deviation s of the data, on the scale that the model computes in.
        first: The number of intervals n at the start of training.
        last: The number at its end.
        times: The distribution of the noise in training.
        huber: The constant c of the pseudo-Huber distance; ``null`` for :math:`0.00054 \sqrt D` of D numbers.
        between: The levels of noise of further evaluations of a draw, falling; an empty list for draws in one.
        context: The conditioning on labels or features; ``null`` for none.

    References: Song et al., Consistency Models, 2023, arXiv:2303.01469, alg. 1-3 and app. C; Song and Dhariwal,
    Improved Techniques for Training Consistency Models, 2024, arXiv:2310.14189, sec. 3 and table 1.

    Shapes: data ``[B, *event.shape]``; latents ``[n, 1 + len(between), *event.shape]``. Logs ``gap``, the squared
    distance summed over the event, and the weight ``intervals``.

    >>> import zoo
    >>> model = zoo.declare(zoo.Model, {"type": "consistency", "net": "time_mlp"})(zoo.Event("point", zoo.Shape(2)))
    >>> model.eval().sample(3).shape
    torch.Size([3, 2])
    """

    like: Tensor

    def __init__(
        self,
        event: Event,
        *,
        net: Part[Denoiser],
        teacher: Part[Model] | None = None,
        low: PositiveFloat = 0.002,
        high: PositiveFloat = 80.0,
        sigma_data: PositiveFloat = 0.5,
        first: PositiveInt = 10,
        last: PositiveInt = 1280,
        times: Part[TimeSampler] = named("log_normal", mean=-1.1, sd=2.0),
        huber: PositiveFloat | None = None,
        between: Sequence[PositiveFloat] = (0.8,),
        context: Part[Context] | None = None,
    ) -> None:
        super().__init__(event)
        if first > last:
            raise ValueError(f"first must not be above last, got {first} and {last}")
        self.path = EDM(low=low, high=high)
        self.low, self.high, self.s = low, high, sigma_data
        self.first, self.last = first, last
        self.times = times(self.path)
        self.c = 0.00054 * math.sqrt(event.shape.size) if huber is None else huber
        self.between = checked_levels(between, self)
        self.net = net(event.shape, event.shape)
        self.context = context(event) if context else None
        check_context(self.context, self.net)
        self.conditioned_on = self.context.sources if self.context else None
        self.teacher: Any = _teacher(teacher, event, self.conditions) if teacher else None
        # Noise and data have the dtype of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)
        self.train()

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.teacher is not None:
            self.teacher.train(False)
        return self

    # -- training ------------------------------------------------------------------------------------------------------

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        x0, given = self.scaled(batch[self.event.name]), self.given(batch)
        c, n = vectors_of(self.context, given), self.intervals(clock)
        less, more = self.levels(self.times.draw(x0.shape[0], x0), n)  # [B] each
        z = torch.randn_like(x0)
        x = x0 + _as(more, x0) * z
        with torch.no_grad():
            target = self.f(self.along(x, more, less, x0, given), less, c)
        gap = sum_event((self.f(x, more, c) - target).square())  # [B]
        distance = (gap + self.c**2).sqrt() - self.c
        return Terms((distance / (more - less)).mean(), {"gap": gap}, {"intervals": n})

    def f(self, x: Tensor, sigma: Tensor, c: Tensor | None = None) -> Tensor:
        r""":math:`f(x, \sigma)`, of data ``[B, *shape]`` with noise ``[B]``."""
        above, size = sigma - self.low, (sigma.square() + self.s**2).sqrt()
        # The number by which networks of `diffusion` know the log-SNR.
        F = lifted(self.net(x / _as(size, x), 500.0 + 50.0 * sigma.log(), c))
        return _as(self.s**2 / (above.square() + self.s**2), x) * x + _as(self.s * above / size, x) * F

    def along(self, x: Tensor, sigma: Tensor, after: Tensor, x0: Tensor, given: Condition | None) -> Tensor:
        r"""The point at ``after`` on the path through ``x`` at ``sigma``, whose slope is
        :math:`(x - \hat x_0) / \sigma`, with the data itself or that of the teacher.
        """
        step = _as(after - sigma, x)
        if self.teacher is None:
            return x + step * (x - x0) / _as(sigma, x)
        c = self.teacher.condition(given)
        slope = (x - denoised(self.teacher, x, sigma, c)) / _as(sigma, x)
        end = x + step * slope
        return x + 0.5 * step * (slope + (end - denoised(self.teacher, end, after, c)) / _as(after, x))

    def intervals(self, clock: Clock) -> Tensor:
        r"""The number of intervals, :math:`\min(s_0 2^{\lfloor k / K' \rfloor}, s_1)`, of which each lasts as long."""
        stages = math.floor(math.log2(self.last // self.first)) + 1
        return (self.first * 2.0 ** (clock.progress * stages).floor()).clamp(max=self.last)

    def levels(self, sigma: Tensor, n: Tensor) -> tuple[Tensor, Tensor]:
        """The ends of the intervals, of n, that levels of noise fall into."""
        low, high = self.low ** (1.0 / RHO), self.high ** (1.0 / RHO)
        i = ((sigma ** (1.0 / RHO) - low) / (high - low) * n).floor().clamp(min=0).minimum(n - 1)
        less, more = ((low + (i + k) / n * (high - low)) ** RHO for k in (0, 1))
        return less, more

    # -- draws ---------------------------------------------------------------------------------------------------------

    def draw_latent(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        return self.noise(n, 1 + len(self.between), temperature)

    def noise(self, n: int, evaluations: int, temperature: float) -> Tensor:
        """The noise of draws of so many evaluations, ``[n, evaluations, *event.shape]``."""
        sizes = (n, evaluations, *self.event.shape)
        return temperature * torch.randn(sizes, dtype=self.like.dtype, device=self.like.device)

    def decode(self, z: Tensor, context: Condition | None = None) -> Tensor:
        return self.drawn(z, self.between, context)

    def drawn(self, z: Tensor, between: Sequence[float], context: Condition | None) -> Tensor:
        """Data from the noise of all evaluations and the levels of those after the first."""
        c, n, x = vectors_of(self.context, context), z.shape[0], torch.zeros_like(z[:, 0])
        for i, (sigma, noise) in enumerate(zip((self.high, *between), z.unbind(1), strict=True)):
            size = sigma if i == 0 else math.sqrt(sigma**2 - self.low**2)
            x = self.f(x + size * noise, z.new_full((n,), sigma), c)
            if not torch.compiler.is_compiling():
                advanced(i + 1, z.shape[1])
        return x if self.event.levels is None else as_data(0.5 * x + 0.5, self.event)

    def scaled(self, x: Tensor) -> Tensor:
        """Data on the scale of the network: levels between -1 and 1."""
        unit = self.event.unit(x, self.like.dtype)
        return unit if self.event.levels is None else 2.0 * unit - 1.0


@component("multistep")
class Multistep(Sampler):
    """Draws of a consistency model in another number of evaluations than its own.

    ValueError for another model, and for levels that do not fall.

    Args:
        between: The levels of noise of the evaluations after the first, falling; an empty list for one evaluation.
    """

    def __init__(self, model: Model, *, between: Sequence[PositiveFloat] = ()) -> None:
        super().__init__(model)
        if not isinstance(model, Consistency):
            raise ValueError("needs a consistency model")
        self.consistency: Consistency = model
        self.between = checked_levels(between, model)

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        z = self.consistency.noise(n, 1 + len(self.between), temperature)
        return self.consistency.drawn(z, self.between, context)


def checked_levels(between: Sequence[float], model: Consistency) -> tuple[float, ...]:
    """The levels of noise of further evaluations; ValueError unless they fall within those of a model."""
    falling = (model.high, *between, model.low)
    if any(after >= sigma for sigma, after in itertools.pairwise(falling)):
        raise ValueError(
            f"the levels in between must fall from below {model.high:g} to above {model.low:g}, got {[*between]}"
        )
    return tuple(between)


def denoised(teacher: Diffusion, x: Tensor, sigma: Tensor, c: Tensor | None) -> Tensor:
    r"""The data that a diffusion model of any path sees in :math:`x = x_0 + \sigma \epsilon`, noise ``[B]``."""
    t = teacher.path.time_of(-2.0 * sigma.log()).clamp(teacher.path.start, teacher.path.end)
    level = teacher.path.levels(t, x.dim())
    noisy = level.alpha * x
    output = lifted(teacher.net(teacher.target.scale(level) * noisy, teacher.number(t), c))
    return teacher.target.predicted(output, noisy, level).data


def _teacher(declared: Part[Model], event: Event, conditions: Sequence[str]) -> Diffusion:
    """A diffusion model that is not trained; ValueError for another, or with other conditions or another scale."""
    teacher: Any = declared(event)
    if not isinstance(teacher, Diffusion) or teacher.dequantize is not None:
        raise ValueError(f"needs a diffusion model without dequantize as its teacher, but '{declared.name}' is none")
    if teacher.conditions != tuple(conditions):
        raise ValueError("needs a teacher with the same context")
    teacher.requires_grad_(False)
    return teacher


def _as(numbers: Tensor, x: Tensor) -> Tensor:
    """Numbers of each example, ``[B]``, as factors of it."""
    return numbers.view(-1, *[1] * (x.dim() - 1))
