"""Mixture posterior."""

from __future__ import annotations

import math

import torch
from pydantic import PositiveInt
from torch import Tensor

from zoo import Shape, component

from ...shared.precision import lifted
from .base import Draws, Posterior

_LOG_2_PI = math.log(2.0 * math.pi)


@component("mixture")
class Mixture(Posterior):
    r"""Mixture of diagonal normals; the encoder computes weights, means and variances.

    .. math:: q(z \mid x) = \sum_{k=1}^K \pi_k\, \mathcal N(z \mid \mu_k, \operatorname{diag} \sigma_k^2), \qquad
       \mathrm E_q[f(z)] \approx \sum_k \frac{\pi_k}{n} \sum_{i=1}^n f(\mu_k + \sigma_k \epsilon_{ki})

    Draws are stratified: n of each component, :math:`n K` in all, each with weight :math:`\pi_k / n`. The component is
    not drawn at random, so that gradients are exact, including those of the weights. The encoder computes :math:`h =
    (\log \pi, (\mu_k), (\log \sigma_k^2))`, the first up to a constant.

    The code of ``x`` is :math:`\sum_k \pi_k \mu_k`. The divergence has no closed form.

    Args:
        components: The number of components, :math:`K`.

    References: Morningstar et al., Automatic Differentiation Variational Inference with Mixtures, 2021,
    arXiv:2003.01687, eq. 4.

    Shapes: ``h`` is ``[B, K (2 D + 1)]`` for a latent of D numbers, of any shape.

    >>> posterior = Mixture(Shape(3), components=4)
    >>> z, log_q, log_weight = posterior.draw(torch.zeros(5, 28), 2)
    >>> z.shape, log_weight.exp().sum(0)
    (torch.Size([8, 5, 3]), tensor([1., 1., 1., 1., 1.]))
    """

    def __init__(self, latent: Shape, *, components: PositiveInt = 4) -> None:
        super().__init__(latent)
        self.components = components
        self.dimensions = latent.size
        self.encoded = Shape(components * (2 * latent.size + 1))
        self._sizes = tuple(latent)

    def draw(self, h: Tensor, n: int) -> Draws:
        log_pi, mu, log_sigma = self._split(h)
        epsilon = torch.randn(n, *mu.shape, dtype=mu.dtype, device=mu.device)
        # [n, B, K, D] -> [n K, B, D]
        z = torch.addcmul(mu, log_sigma.exp(), epsilon).movedim(-2, 1).flatten(0, 1)
        log_weight = (log_pi.movedim(-1, 0) - math.log(n)).repeat(n, 1)  # [n K, B]
        return Draws(torch.unflatten(z, -1, self._sizes), self._log_prob(z, log_pi, mu, log_sigma), log_weight)

    def log_prob(self, z: Tensor, h: Tensor) -> Tensor:
        return self._log_prob(z.flatten(-len(self._sizes)), *self._split(h))

    def mean(self, h: Tensor) -> Tensor:
        log_pi, mu, _ = self._split(h)
        return torch.unflatten((log_pi.exp().unsqueeze(-1) * mu).sum(-2), -1, self._sizes)

    def _log_prob(self, z: Tensor, log_pi: Tensor, mu: Tensor, log_sigma: Tensor) -> Tensor:
        epsilon = (z.unsqueeze(-2) - mu) * (-log_sigma).exp()  # [..., K, D]
        log_normal = (-0.5 * epsilon.square() - log_sigma - 0.5 * _LOG_2_PI).sum(-1)
        return torch.logsumexp(log_pi + log_normal, dim=-1)

    def _split(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-weights ``[..., K]``, means and logarithms of the standard deviations ``[..., K, D]``."""
        K, D = self.components, self.dimensions
        logits, mu, log_var = torch.split(lifted(h), [K, K * D, K * D], dim=-1)
        mu, log_var = (torch.unflatten(numbers, -1, (K, D)) for numbers in (mu, log_var))
        return logits.log_softmax(-1), mu, 0.5 * log_var
