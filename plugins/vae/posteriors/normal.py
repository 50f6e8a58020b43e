"""Normal posteriors: diagonal, and with full covariance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo import NormalMoments, Shape, component

from ...shared.precision import lifted
from .base import Draws, Factorised, Posterior

_LOG_2_PI = math.log(2.0 * math.pi)


@component("diagonal_normal")
class DiagonalNormal(Posterior, Factorised):
    r"""Diagonal normal; the encoder computes means and variances.

    .. math:: q(z \mid x) = \mathcal N(z \mid \mu(x), \operatorname{diag} \sigma^2(x)), \qquad z = \mu + \sigma \epsilon

    The encoder computes :math:`h = (\mu, \log \sigma^2)`. With a normal prior of independent numbers

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
        mu, log_var = lifted(h).chunk(2, dim=self._channels)  # [..., *latent] each
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


@component("full_normal")
class FullNormal(Posterior):
    r"""Normal with full covariance; the encoder computes the mean and the Cholesky factor.

    .. math:: q(z \mid x) = \mathcal N(z \mid \mu, L L^\top), \qquad L = \operatorname{diag}(\sigma)\, U, \qquad
       z = \mu + L \epsilon

    with :math:`U` lower triangular and its diagonal one, so that

    .. math:: \log q(z \mid x) = -\tfrac12 \Bigl\|U^{-1} \frac{z - \mu}{\sigma}\Bigr\|^2 - \sum_j \log \sigma_j
       - \tfrac{D}{2} \log 2\pi

    The encoder computes :math:`h = (\mu, \log \sigma^2, U_{ij})`, the last below the diagonal, row by row: if they are
    zero it is `diagonal_normal`. With a normal prior of independent numbers

    .. math:: \mathrm{KL} = \sum_i \tfrac12 \Bigl(\frac{\sigma_i^2 \sum_{j \le i} U_{ij}^2
       + (\mu_i - m_i)^2}{s_i^2} - 1\Bigr) - \log \frac{\sigma_i}{s_i}

    which is not a sum over the dimensions of :math:`z`: they are dependent.

    References: Kingma and Welling, An Introduction to Variational Autoencoders, 2019, arXiv:1906.02691, sec. 2.5.1.

    Shapes: ``h`` is ``[B, D + D (D + 1) / 2]`` for a latent of D numbers, of any shape.

    >>> import zoo
    >>> posterior = FullNormal(zoo.Shape(3))
    >>> posterior.encoded
    Shape(9)
    >>> posterior.divergence(torch.zeros(1, 9), zoo.declare(zoo.Distribution, "standard_normal")(zoo.Shape(3)))
    tensor([0.])
    """

    places: Tensor
    rows: Tensor

    def __init__(self, latent: Shape) -> None:
        super().__init__(latent)
        D = self.dimensions = latent.size
        self.encoded = Shape(D + D * (D + 1) // 2)
        self._below = D * (D - 1) // 2
        self._sizes = tuple(latent)
        rows, columns = torch.tril_indices(D, D, -1)
        # Where each number of the matrix stands: in those below the diagonal, and a one and a zero after them.
        places = torch.full((D, D), self._below + 1).fill_diagonal_(self._below)
        places[rows, columns] = torch.arange(self._below)
        self.register_buffer("places", places.flatten(), persistent=False)
        self.register_buffer("rows", rows, persistent=False)

    def draw(self, h: Tensor, n: int) -> Draws:
        mu, log_sigma, below = self._split(h)
        epsilon = torch.randn(n, *mu.shape, dtype=mu.dtype, device=mu.device)
        # No matrix product: autocast would round it, and z would not be what log_q is of.
        correlated = (self._matrix(below) * epsilon.unsqueeze(-2)).sum(-1)  # [n, B, D]
        z = torch.addcmul(mu, log_sigma.exp(), correlated)
        log_q = _log_normal(epsilon, log_sigma)
        return Draws(torch.unflatten(z, -1, self._sizes), log_q, torch.full_like(log_q, -math.log(n)))

    def log_prob(self, z: Tensor, h: Tensor) -> Tensor:
        mu, log_sigma, below = self._split(h)
        correlated = (z.flatten(-len(self._sizes)) - mu) * (-log_sigma).exp()
        epsilon: Tensor = torch.linalg.solve_triangular(
            self._matrix(below), correlated.unsqueeze(-1), upper=False, unitriangular=True
        )
        return _log_normal(epsilon.squeeze(-1), log_sigma)

    def mean(self, h: Tensor) -> Tensor:
        return torch.unflatten(self._split(h)[0], -1, self._sizes)

    def divergence(self, h: Tensor, prior: nn.Module) -> Tensor | None:
        if not isinstance(prior, NormalMoments):
            return None
        mu, log_sigma, below = self._split(h)
        m, log_s = (moment.flatten() for moment in prior.moments())
        ratio = 2.0 * (log_sigma - log_s)
        along = ratio.exp() + ((mu - m) * (-log_s).exp()).square() - 1.0 - ratio
        across = below * (log_sigma - log_s)[..., self.rows].exp()
        return 0.5 * (along.sum(-1) + across.square().sum(-1))

    def _split(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, logarithm of the scales, and the numbers below the diagonal."""
        D = self.dimensions
        mu, log_var, below = torch.split(lifted(h), [D, D, self._below], dim=-1)  # the last [..., D (D - 1) / 2]
        return mu, 0.5 * log_var, below

    def _matrix(self, below: Tensor) -> Tensor:
        r""":math:`U`, ``[..., D, D]``."""
        numbers = nn.functional.pad(nn.functional.pad(below, (0, 1), value=1.0), (0, 1))
        return torch.unflatten(numbers[..., self.places], -1, (self.dimensions, self.dimensions))


def _log_normal(epsilon: Tensor, log_sigma: Tensor) -> Tensor:
    return (-0.5 * epsilon.square() - log_sigma - 0.5 * _LOG_2_PI).sum(-1)
