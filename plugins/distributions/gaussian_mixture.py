"""Mixture of normals."""

from __future__ import annotations

import math

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from zoo import Distribution, Shape, component, sum_event


@component("gaussian_mixture")
class GaussianMixture(Distribution):
    r"""Mixture of diagonal normals with learned weights, means and scales.

    .. math:: \log p(x) = \log \sum_{k=1}^K \pi_k\, \mathcal{N}(x \mid \mu_k, \operatorname{diag} \sigma_k^2)

    The means start at random, since equal ones would stay equal. Weights start equal, and scales at one.

    Args:
        components: The number of normals, :math:`K`.
        spread: The standard deviation of the initial means.

    Shapes: events ``[B, *shape]``, ``log_prob`` ``[B]`` in nats. The temperature scales the spread about each mean.

    >>> import torch, zoo
    >>> base = zoo.declare(zoo.Distribution, {"type": "gaussian_mixture", "components": 3})(zoo.Shape(2))
    >>> base.sample(5).shape, base.log_prob(torch.zeros(4, 2)).shape
    (torch.Size([5, 2]), torch.Size([4]))
    """

    def __init__(self, shape: Shape, *, components: PositiveInt = 8, spread: PositiveFloat = 1.0) -> None:
        super().__init__(shape)
        self.logits = nn.Parameter(torch.zeros(components))
        self.mean = nn.Parameter(spread * torch.randn(components, *shape))
        self.log_scale = nn.Parameter(torch.zeros(components, *shape))
        self._constant = 0.5 * shape.size * math.log(2.0 * math.pi)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        epsilon = (x.unsqueeze(1) - self.mean) * (-self.log_scale).exp()  # [B, K, *shape]
        log_normal = -0.5 * epsilon.square().flatten(2).sum(2) - sum_event(self.log_scale) - self._constant  # [B, K]
        return torch.logsumexp(self.logits.log_softmax(0) + log_normal, dim=1)

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        k = torch.multinomial(self.logits.softmax(0), n, replacement=True)
        mean, scale = self.mean[k], temperature * self.log_scale[k].exp()
        return torch.addcmul(mean, scale, torch.randn_like(mean))
