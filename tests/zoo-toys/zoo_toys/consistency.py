"""Consistency model."""

from __future__ import annotations

import copy
from typing import Annotated

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from zoo import Batch, Clock, Condition, Conditioner, Event, Model, Part, Samples, Shape, Terms, component, named


@component("consistency")
class ConsistencyModel(Model, Samples):
    r"""Consistency training: a student learns to agree with a teacher that sees the same point with less noise.

    .. math::
        L = \mathbb E \lVert f_\theta(x + t_{n+1} z, t_{n+1}) - f_{\theta^-}(x + t_n z, t_n) \rVert^2, \qquad
        \theta^- \leftarrow \mu \theta^- + (1 - \mu) \theta

    with :math:`z \sim \mathcal N(0, I)`, :math:`n` uniform, and a function that is the identity at the least noise:

    .. math::
        f(x, t) = c_{skip}(t)\, x + c_{out}(t)\, F(x, t), \quad c_{skip}(t) = \frac{\sigma^2}{(t - \epsilon)^2 +
        \sigma^2}, \quad c_{out}(t) = \frac{\sigma (t - \epsilon)}{\sqrt{t^2 + \sigma^2}}

    The teacher is not trained: it follows the student after each step, and draws samples in one evaluation,
    :math:`f_{\theta^-}(T z, T)`. ValueError unless the data is a vector of continuous numbers.

    Args:
        net: The network :math:`F`, which gets the noise as one more number.
        levels: The number of noise levels.
        least: The least noise, :math:`\epsilon`.
        most: The largest noise, :math:`T`.
        sigma: The standard deviation of the data, :math:`\sigma`.
        decay: The share of the teacher that is left after a step, :math:`\mu`.

    References: Song et al., Consistency Models, 2023, arXiv:2303.01469, algorithm 3, eq. 5 and section 5.

    >>> import zoo
    >>> model = ConsistencyModel(Event("point", Shape(2)), net=zoo.declare(Conditioner, "mlp"))
    >>> model.sample(5).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        event: Event,
        *,
        net: Part[Conditioner] = named("mlp", width=64),
        levels: Annotated[int, Field(ge=2)] = 20,
        least: PositiveFloat = 0.002,
        most: PositiveFloat = 8.0,
        sigma: PositiveFloat = 2.0,
        decay: Annotated[float, Field(ge=0, lt=1)] = 0.95,
    ) -> None:
        super().__init__(event)
        if event.levels is not None or len(event.shape) != 1:
            raise ValueError(f"'{event.name}' should be a vector of continuous numbers")
        if least >= most:
            raise ValueError(f"the least noise {least} should be below the most, {most}")
        self.least, self.most, self.sigma, self.decay = least, most, sigma, decay
        (D,) = event.shape
        self.student: nn.Module = net(Shape(D + 1), event.shape)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        rho = 7.0
        steps = torch.linspace(least ** (1 / rho), most ** (1 / rho), levels)
        self.register_buffer("times", steps**rho)

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        x = batch[self.event.name]
        times = self.get_buffer("times")
        n = torch.randint(len(times) - 1, (len(x), 1), device=x.device)
        z = torch.randn_like(x)
        t, more = times[n], times[n + 1]  # [B, 1]
        with torch.no_grad():
            target = self.denoise(self.teacher, x + t * z, t)
        gap = (self.denoise(self.student, x + more * z, more) - target).square().sum(1)
        return Terms(gap.mean(), {"gap": gap})

    def denoise(self, net: nn.Module, x: Tensor, t: Tensor) -> Tensor:
        """:math:`f(x, t)`, ``[B, D], [B, 1] -> [B, D]``."""
        skip = self.sigma**2 / ((t - self.least) ** 2 + self.sigma**2)
        scale = (t**2 + self.sigma**2).rsqrt()
        F: Tensor = net(torch.cat((scale * x, t.log() / 4), dim=1))
        return skip * x + self.sigma * (t - self.least) * scale * F

    @torch.no_grad()
    def after_step(self, clock: Clock) -> None:
        torch._foreach_lerp_(list(self.teacher.parameters()), list(self.student.parameters()), 1.0 - self.decay)

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        T = self.get_buffer("times")[-1:].expand(n, 1)
        return self.denoise(self.teacher, temperature * T * torch.randn(n, *self.event.shape, device=T.device), T)
