"""Normal distribution of independent numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo import Distribution, NormalMoments, Shape, component, sum_event


@component("normal")
class Normal(Distribution, NormalMoments):
    r"""Independent normals with learned means and scales, standard before training.

    .. math:: \log p(x) = -\sum_j \tfrac12 \epsilon_j^2 + \log \sigma_j + \tfrac12 \log 2\pi, \qquad
       \epsilon_j = \frac{x_j - \mu_j}{\sigma_j}

    Shapes: events ``[B, *shape]``, ``log_prob`` ``[B]`` in nats. The temperature scales the spread about the mean.

    >>> import torch, zoo
    >>> base = zoo.declare(zoo.Distribution, "normal")(zoo.Shape(2))
    >>> base.log_prob(torch.zeros(1, 2))
    tensor([-1.8379], grad_fn=<SubBackward0>)
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.mean = nn.Parameter(torch.zeros(*shape))
        self.log_scale = nn.Parameter(torch.zeros(*shape))
        self._constant = 0.5 * shape.size * math.log(2.0 * math.pi)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        epsilon = (x - self.mean) * (-self.log_scale).exp()
        return -0.5 * sum_event(epsilon.square()) - (self.log_scale.sum() + self._constant)

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        epsilon = torch.randn(n, *self.mean.shape, dtype=self.mean.dtype, device=self.mean.device)
        return torch.addcmul(self.mean, temperature * self.log_scale.exp(), epsilon)

    def moments(self) -> tuple[Tensor, Tensor]:
        return self.mean, self.log_scale
