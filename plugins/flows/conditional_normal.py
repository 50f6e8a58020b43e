"""Normal distribution that a context moves."""

from __future__ import annotations

import math

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from zoo import Distribution, Shape, TakesContext, component, sum_event


@component("conditional_normal", example={"context": 3})
class ConditionalNormal(Distribution, TakesContext):
    r"""Independent normals whose means and log-scales are linear in a context, standard before training.

    .. math:: \log p(x \mid c) = -\sum_j \tfrac12 \epsilon_j^2 + \log \sigma_j + \tfrac12 \log 2\pi, \qquad
       \epsilon_j = \frac{x_j - \mu_j}{\sigma_j}, \quad \mu = M c, \quad \log \sigma = S c

    ``context`` is the size of c. With labels as unit vectors (the context ``one_hot``) each class has a mean and scales
    of its own: a class-conditional base, and all together a mixture with one component for each class.

    References: Izmailov et al., Semi-supervised learning with normalizing flows, 2020, arXiv:1912.13025, sec. 3.

    Shapes: events ``[B, *shape]``, the context ``[B, context]``, ``log_prob`` ``[B]`` in nats. The temperature scales
    the spread about the mean.

    >>> import torch, zoo
    >>> base = zoo.declare(zoo.Distribution, {"type": "conditional_normal", "context": 3})(zoo.Shape(2))
    >>> base.log_prob(torch.zeros(1, 2), torch.eye(3)[:1])
    tensor([-1.8379], grad_fn=<SubBackward0>)
    """

    def __init__(self, shape: Shape, *, context: PositiveInt) -> None:
        super().__init__(shape)
        self.context = context
        self.mean = nn.Parameter(torch.zeros(shape.size, context))
        self.log_scale = nn.Parameter(torch.zeros(shape.size, context))
        self._constant = 0.5 * shape.size * math.log(2.0 * math.pi)
        self._sizes = tuple(shape)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        mean, log_scale = self._moments(context)
        epsilon = (x - mean) * (-log_scale).exp()
        return -0.5 * sum_event(epsilon.square()) - (sum_event(log_scale) + self._constant)

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        mean, log_scale = self._moments(context)
        epsilon = torch.randn(n, *self._sizes, dtype=mean.dtype, device=mean.device)
        return torch.addcmul(mean, temperature * log_scale.exp(), epsilon)

    def _moments(self, context: Tensor | None) -> tuple[Tensor, Tensor]:
        if context is None:
            raise ValueError(f"needs a context of {self.context} numbers")
        mean, log_scale = context @ self.mean.T, context @ self.log_scale.T
        return torch.unflatten(mean, 1, self._sizes), torch.unflatten(log_scale, 1, self._sizes)
