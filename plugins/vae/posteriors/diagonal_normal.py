"""Normal posterior of independent numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo import NormalMoments, Shape, component

from ..lifted import lifted
from .factorised import Factorised
from .posterior import Draws, Posterior

_LOG_2_PI = math.log(2.0 * math.pi)


@component("diagonal_normal")
class DiagonalNormal(Posterior, Factorised):
    r"""Independent normals whose means and variances an encoder gives.

    .. math:: q(z \mid x) = \mathcal N(z \mid \mu(x), \operatorname{diag} \sigma^2(x)), \qquad z = \mu + \sigma \epsilon

    The encoder answers :math:`h = (\mu, \log \sigma^2)`. With a normal prior of independent numbers

    .. math:: \mathrm{KL}_j = \tfrac12 \Bigl(\frac{\sigma_j^2 + (\mu_j - m_j)^2}{s_j^2} - 1\Bigr)
       - \log \frac{\sigma_j}{s_j}

    References: Kingma and Welling, Auto-Encoding Variational Bayes, 2014, arXiv:1312.6114, sec. 2.4 and appendix B.

    Shapes: ``h`` is ``[B, 2 C, ...]`` for a latent ``[C, ...]``.

    >>> posterior = DiagonalNormal(Shape(3))
    >>> z, log_q, _ = posterior.draw(torch.zeros(5, 6), 2)
    >>> z.shape, log_q.shape
    (torch.Size([2, 5, 3]), torch.Size([2, 5]))
    """

    def __init__(self, latent: Shape) -> None:
        super().__init__(latent)
        self.encoded = latent.channels(2)
        self.dimensions = latent.size
        self._channels = -len(latent)

    def draw(self, h: Tensor, n: int) -> Draws:
        mu, log_sigma = self.moments(h)
        epsilon = torch.randn(n, *mu.shape, dtype=mu.dtype, device=mu.device)
        z = torch.addcmul(mu, log_sigma.exp(), epsilon)
        log_q = self._over_latent(-0.5 * epsilon.square() - log_sigma - 0.5 * _LOG_2_PI)
        return Draws(z, log_q, torch.full_like(log_q, -math.log(n)))

    def log_prob(self, z: Tensor, h: Tensor) -> Tensor:
        return self._over_latent(self.log_prob_dim(z, h))

    def log_prob_dim(self, z: Tensor, h: Tensor) -> Tensor:
        mu, log_sigma = self.moments(h)
        return -0.5 * ((z - mu) * (-log_sigma).exp()).square() - log_sigma - 0.5 * _LOG_2_PI

    def mean(self, h: Tensor) -> Tensor:
        return self.moments(h)[0]

    def moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var = lifted(h).chunk(2, dim=self._channels)
        return mu, 0.5 * log_var

    def divergence(self, h: Tensor, prior: nn.Module) -> Tensor | None:
        if not isinstance(prior, NormalMoments):
            return None
        mu, log_sigma = self.moments(h)
        m, log_s = prior.moments()
        ratio = 2.0 * (log_sigma - log_s)
        kl = 0.5 * (ratio.exp() + ((mu - m) * (-log_s).exp()).square() - 1.0 - ratio)
        return kl.flatten(1)

    def _over_latent(self, x: Tensor) -> Tensor:
        return x.sum(-1) if self._channels == -1 else x.flatten(self._channels).sum(-1)
