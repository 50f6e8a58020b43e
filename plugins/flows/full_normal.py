"""Normal distribution with full covariance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo import Distribution, Shape, component


@component("full_normal")
class FullNormal(Distribution):
    r"""A normal with learned mean and covariance, standard before training.

    .. math:: \log p(x) = -\tfrac12 \|L^{-1} (x - \mu)\|^2 - \sum_j \log L_{jj} - \tfrac{D}{2} \log 2\pi, \qquad
       \Sigma = L L^\top

    with :math:`L` lower triangular and its diagonal positive, the exponential of a parameter. Events are flattened:
    :math:`D (D + 1) / 2` parameters beside the mean.

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
        centred = x.flatten(1) - self.mean
        # A solve has no half precision.
        epsilon = torch.linalg.solve_triangular(self._factor().to(x.dtype), centred.T, upper=False)
        squares: Tensor = epsilon.square().sum(0)
        return -0.5 * squares - (self.log_diagonal.sum() + self._constant)

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        epsilon = torch.randn(n, self.shape.size, dtype=self.mean.dtype, device=self.mean.device)
        x = self.mean + temperature * (epsilon @ self._factor().T)
        return torch.unflatten(x, 1, tuple(self.shape))

    def _factor(self) -> Tensor:
        return self.lower.tril(-1) + torch.diag_embed(self.log_diagonal.exp())
