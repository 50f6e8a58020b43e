"""Model that removes noise in one step."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Batch, Clock, Condition, Conditioner, Event, Model, Part, Samples, Shape, Terms, component, named

from .schedule import Schedule


@component("denoiser")
class Denoiser(Model, Samples):
    r"""A network that guesses the data from a mixture of data and noise.

    .. math:: L = \mathbb E \lVert f(\alpha(t) x + (1 - \alpha(t)) \epsilon, t) - x \rVert^2

    ValueError where the data is no vector of continuous numbers.
    """

    def __init__(
        self,
        event: Event,
        *,
        noise: Part[Schedule] = named("acme.linear"),
        further: list[Part[Schedule]] = [],  # noqa: B006
        net: Part[Conditioner] = named("mlp", width=8),
    ) -> None:
        super().__init__(event)
        if event.levels is not None or len(event.shape) != 1:
            raise ValueError(f"'{event.name}' must be a vector of continuous numbers")
        (D,) = event.shape
        self.noise = noise()
        self.further = [part() for part in further]
        self.net = net(Shape(D + 1), event.shape)

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        x = batch[self.event.name]
        t = torch.rand(len(x), 1, device=x.device, dtype=x.dtype)
        share = self.noise(t)
        mixed = share * x + (1.0 - share) * torch.randn_like(x)
        gap = (self.net(torch.cat((mixed, t), dim=1)) - x).square().sum(1)
        return Terms(gap.mean(), {"gap": gap})

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        (D,) = self.event.shape
        like = next(self.net.parameters())
        x = temperature * torch.randn(n, D, device=like.device, dtype=like.dtype)
        drawn: Tensor = self.net(torch.cat((x, torch.ones_like(x[:, :1])), dim=1))
        return drawn
