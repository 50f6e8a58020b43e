"""DIP-VAE I and II."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat
from torch import Tensor

from zoo import Batch, BatchStatistics, Clock, Terms

from ..posteriors.base import factorised
from .base import VariationalObjective

if TYPE_CHECKING:
    from ..vae import VAE
from zoo import component


class DIP(BatchStatistics, VariationalObjective):
    r"""Evidence lower bound with a penalty on the difference between a covariance of latents and the identity.

    .. math:: L = L_\mathrm{ELBO} + \lambda_{od} \sum_{i \ne j} C_{ij}^2 + \lambda_d \sum_i (C_{ii} - 1)^2

    Args:
        lambda_od: The weight :math:`\lambda_{od}` of the squares off the diagonal.
        lambda_d: The weight :math:`\lambda_d` of the squared differences of the diagonal from one.
    """

    def __init__(self, latent_size: int, *, lambda_od: NonNegativeFloat, lambda_d: NonNegativeFloat) -> None:
        super().__init__(latent_size)
        self.lambda_od, self.lambda_d = lambda_od, lambda_d

    @abstractmethod
    def covariance(self, mean: Tensor, log_sigma: Tensor) -> Tensor:
        """The penalised covariance, ``[L, L]``, from a batch's moments ``[B, L]``."""

    def check(self, vae: VAE) -> None:
        factorised(vae.posterior)

    def forward(self, vae: VAE, batch: Batch, clock: Clock) -> Terms:
        x = batch[vae.event.name]
        h = vae.answer(x)
        terms = vae.terms_of(x, h, vae.posterior.draw(h, 1))
        bound, weights = vae.weighting(terms, clock)
        mean, log_sigma = factorised(vae.posterior).moments(h)
        off_diagonal, diagonal = _lacking(self.covariance(mean.flatten(1), log_sigma.flatten(1)))
        loss = bound + self.lambda_od * off_diagonal + self.lambda_d * diagonal
        logs = {"nll": terms.nll, "kl": terms.kl, "elbo": -(terms.nll + terms.kl)}
        own = {"lambda_od": loss.new_tensor(self.lambda_od), "lambda_d": loss.new_tensor(self.lambda_d)}
        return Terms(loss, {**logs, "off_diagonal": off_diagonal, "diagonal": diagonal}, {**weights, **own})


def covariance_of_means(mean: Tensor) -> Tensor:
    """The empirical covariance over a batch, ``[B, L] -> [L, L]``.

    >>> import torch
    >>> covariance_of_means(torch.tensor([[1.0, 2.0], [-1.0, -2.0]]))
    tensor([[1., 2.],
            [2., 4.]])
    """
    centred = mean - mean.mean(0)
    return centred.mT @ centred / mean.shape[0]


def _lacking(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """The squared differences from the identity, off the diagonal and on it, summed."""
    diagonal = covariance.diagonal()
    return covariance.square().sum() - diagonal.square().sum(), (diagonal - 1.0).square().sum()


@component("dip_i")
class DIPI(DIP):
    r"""DIP-VAE-I: the covariance of the posterior's means is pulled towards the identity.

    .. math:: L = L_\mathrm{ELBO} + \lambda_{od} \sum_{i \ne j} C_{ij}^2 + \lambda_d \sum_i (C_{ii} - 1)^2, \qquad
       C = \mathrm{Cov}_{p(x)}[\mu(x)]

    over a batch; :math:`L_\mathrm{ELBO}` is the bound as weighted by the model's weighting.

    ValueError for a posterior without a mean and a variance.

    Logs ``nll``, ``kl``, ``elbo``, in nats, and the two sums, ``off_diagonal`` and ``diagonal``.

    References: Kumar et al., Variational Inference of Disentangled Latent Concepts from Unlabeled Observations, 2018,
    arXiv:1711.00848, eq. 6.
    """

    def __init__(
        self, latent_size: int, *, lambda_od: NonNegativeFloat = 10.0, lambda_d: NonNegativeFloat = 100.0
    ) -> None:
        super().__init__(latent_size, lambda_od=lambda_od, lambda_d=lambda_d)

    def covariance(self, mean: Tensor, log_sigma: Tensor) -> Tensor:
        return covariance_of_means(mean)


@component("dip_ii")
class DIPII(DIP):
    r"""DIP-VAE-II: the covariance of the latents is pulled towards the identity.

    .. math:: L = L_\mathrm{ELBO} + \lambda_{od} \sum_{i \ne j} C_{ij}^2 + \lambda_d \sum_i (C_{ii} - 1)^2, \qquad
       C = \mathrm{Cov}_{q(z)}[z] = \mathrm E_{p(x)}[\operatorname{diag} \sigma^2(x)] + \mathrm{Cov}_{p(x)}[\mu(x)]

    over a batch; :math:`L_\mathrm{ELBO}` is the bound as weighted by the model's weighting.

    ValueError for a posterior without a mean and a variance.

    Logs ``nll``, ``kl``, ``elbo``, in nats, and the two sums, ``off_diagonal`` and ``diagonal``.

    References: Kumar et al., Variational Inference of Disentangled Latent Concepts from Unlabeled Observations, 2018,
    arXiv:1711.00848, eq. 7.
    """

    def __init__(
        self, latent_size: int, *, lambda_od: NonNegativeFloat = 10.0, lambda_d: NonNegativeFloat = 10.0
    ) -> None:
        super().__init__(latent_size, lambda_od=lambda_od, lambda_d=lambda_d)

    def covariance(self, mean: Tensor, log_sigma: Tensor) -> Tensor:
        return (2.0 * log_sigma).exp().mean(0).diag() + covariance_of_means(mean)
