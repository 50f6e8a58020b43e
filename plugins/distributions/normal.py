"""Normal distributions: standard, diagonal, full and conditional."""

from __future__ import annotations

import math

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from zoo import Distribution, NormalMoments, Shape, TakesContext, component, sum_event


@component("standard_normal")
class StandardNormal(Distribution, NormalMoments):
    r"""Independent standard normals.

    .. math:: \log p(x) = -\tfrac12 \sum_j x_j^2 - \tfrac{D}{2} \log 2\pi

    Shapes: events ``[B, *shape]``, ``log_prob`` ``[B]`` in nats. The temperature is the standard deviation of a draw.

    >>> import torch, zoo
    >>> base = zoo.declare(zoo.Distribution, "standard_normal")(zoo.Shape(2))
    >>> base.log_prob(torch.zeros(1, 2))
    tensor([-1.8379])
    """

    like: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        # Draws have the dtype and the device of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)
        self._sizes = tuple(shape)
        self._constant = 0.5 * shape.size * math.log(2.0 * math.pi)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return -0.5 * sum_event(x.square()) - self._constant

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        draw = torch.randn(n, *self._sizes, dtype=self.like.dtype, device=self.like.device)
        return draw if temperature == 1.0 else temperature * draw

    def moments(self) -> tuple[Tensor, Tensor]:
        zeros = self.like.expand(self._sizes)
        return zeros, zeros


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


@component("full_normal")
class FullNormal(Distribution):
    r"""Multivariate normal with learned mean and covariance, standard before training.

    .. math:: \log p(x) = -\tfrac12 \|L^{-1} (x - \mu)\|^2 - \sum_j \log L_{jj} - \tfrac{D}{2} \log 2\pi, \qquad
       \Sigma = L L^\top

    with :math:`L` lower triangular and its diagonal positive, the exponential of a parameter. Events are flattened; the
    covariance has :math:`D (D + 1) / 2` parameters.

    Shapes: events ``[B, *shape]``, ``log_prob`` ``[B]`` in nats. The temperature scales the spread about the mean.

    >>> import torch, zoo
    >>> base = zoo.declare(zoo.Distribution, "full_normal")(zoo.Shape(2))
    >>> base.log_prob(torch.zeros(1, 2))
    tensor([-1.8379], grad_fn=<SubBackward0>)
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        D = shape.size
        self.mean = nn.Parameter(torch.zeros(D))
        self.log_diagonal = nn.Parameter(torch.zeros(D))
        self.lower = nn.Parameter(torch.zeros(D, D))
        self._constant = 0.5 * D * math.log(2.0 * math.pi)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        centred = x.flatten(1) - self.mean  # [B, D]
        # A solve has no half precision.
        epsilon = torch.linalg.solve_triangular(self._factor().to(x.dtype), centred.T, upper=False)  # [D, B]
        squares: Tensor = epsilon.square().sum(0)
        return -0.5 * squares - (self.log_diagonal.sum() + self._constant)

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        epsilon = torch.randn(n, self.shape.size, dtype=self.mean.dtype, device=self.mean.device)
        x = self.mean + temperature * (epsilon @ self._factor().T)
        return torch.unflatten(x, 1, tuple(self.shape))

    def _factor(self) -> Tensor:
        return self.lower.tril(-1) + torch.diag_embed(self.log_diagonal.exp())


@component("conditional_normal", example={"context": 3})
class ConditionalNormal(Distribution, TakesContext):
    r"""Independent normals whose means and log-scales are linear in a context, standard before training.

    .. math:: \log p(x \mid c) = -\sum_j \tfrac12 \epsilon_j^2 + \log \sigma_j + \tfrac12 \log 2\pi, \qquad
       \epsilon_j = \frac{x_j - \mu_j}{\sigma_j}, \quad \mu = M c, \quad \log \sigma = S c

    With labels as unit vectors (the context ``one_hot``) each class has its own mean and scales: a class-conditional
    base, whose marginal is a mixture with one component for each class.

    Args:
        context: The size of the context c.

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
        mean, log_scale = context @ self.mean.T, context @ self.log_scale.T  # [B, D]
        return torch.unflatten(mean, 1, self._sizes), torch.unflatten(log_scale, 1, self._sizes)
