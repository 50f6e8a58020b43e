"""Training to latents without covariance."""

from __future__ import annotations

from pydantic import NonNegativeFloat
from torch import Tensor

from zoo import component

from .dip import DIP, covariance_of_means


@component("dip_ii")
class DIPII(DIP):
    r"""DIP-VAE-II: the covariance of the latents themselves is drawn to the identity.

    .. math:: L = L_\mathrm{ELBO} + \lambda_{od} \sum_{i \ne j} C_{ij}^2 + \lambda_d \sum_i (C_{ii} - 1)^2, \qquad
       C = \mathrm{Cov}_{q(z)}[z] = \mathrm E_{p(x)}[\operatorname{diag} \sigma^2(x)] + \mathrm{Cov}_{p(x)}[\mu(x)]

    over a batch; :math:`L_\mathrm{ELBO}` is what the model's weighting makes of the bound.

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
