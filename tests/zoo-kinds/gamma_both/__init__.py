"""Components of the kinds of two other packages, of one name, and a model that uses both kinds."""

from __future__ import annotations

import math

import acme_noise
import beta_pace
import torch
from acme_noise.denoiser import Denoiser
from torch import Tensor

from zoo import Batch, Clock, Conditioner, Event, Part, Terms, component, named


@component("cosine")
class CosineNoise(acme_noise.Schedule):
    r"""The share :math:`\cos^2(\pi t / 2)`."""

    def forward(self, t: Tensor) -> Tensor:
        return torch.cos(0.5 * math.pi * t).square()


@component("constant")
class ConstantNoise(acme_noise.Schedule):
    """No schedule: half of the data at all times, which breaks the laws of the kind."""

    def forward(self, t: Tensor) -> Tensor:
        return torch.full_like(t, 0.5)


@component("cosine")
class CosinePace(beta_pace.Schedule):
    """A pace that comes and goes."""

    def pace(self, step: int) -> float:
        return 1.0 + math.cos(step)


@component("paced")
class Paced(Denoiser):
    """A denoiser whose loss has a pace as its factor."""

    def __init__(
        self,
        event: Event,
        *,
        noise: Part[acme_noise.Schedule] = named("gamma.cosine"),
        pace: Part[beta_pace.Schedule] = named("gamma.cosine"),
        net: Part[Conditioner] = named("mlp", width=8),
    ) -> None:
        super().__init__(event, noise=noise, net=net)
        self.factor = pace().pace(2)

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        terms = super().forward(batch, clock)
        return terms._replace(loss=self.factor * terms.loss)
