"""What normal likelihoods share: all but where mean and sigma come from."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from zoo import Event, Likelihood, sum_event

from ...nets.level_data import as_data
from ..lifted import lifted

_LOG_2_PI = math.log(2.0 * math.pi)
FLOOR = -6.0
"""Where a log sigma is soft-clipped: the density of a number, and its gradient, stay within bounds."""


class GaussianLikelihood(Likelihood, ABC):
    r"""Independent normals over data on the scale of `Event.unit`.

    .. math:: \log p(x \mid h) = -\sum_j \frac{(x_j - \mu_j)^2}{2 \sigma_j^2} + \log \sigma_j + \tfrac12 \log 2 \pi

    A draw is :math:`\mu + \sigma \epsilon`, as the nearest level where the data has levels; the temperature scales
    :math:`\epsilon`.
    """

    density = True
    like: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self.decoded = event.shape
        self.noise_size = event.shape.size
        # Noise has the dtype and the device of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)

    @abstractmethod
    def moments(self, h: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Means ``[B, *event.shape]`` and log sigmas, which broadcast to them; ``x`` is the data that they are of,
        where it is scored."""

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        h = lifted(context)
        x = self.event.unit(x, h.dtype)
        mean, log_sigma = self.moments(h, x)
        epsilon = (x - mean) * (-log_sigma).exp()
        return -sum_event(0.5 * epsilon.square() + (log_sigma + 0.5 * _LOG_2_PI))

    def mean(self, context: Tensor) -> Tensor:
        return self.moments(lifted(context))[0]

    def noise(self, n: int, temperature: float = 1.0) -> Tensor:
        return temperature * torch.randn(n, self.noise_size, dtype=self.like.dtype, device=self.like.device)

    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        mean, log_sigma = self.moments(lifted(context))
        return as_data(mean + log_sigma.exp() * noise.reshape(mean.shape), self.event)
