"""Evidence lower bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PositiveInt

from zoo import Batch, Clock, Terms, component

from .base import VariationalObjective

if TYPE_CHECKING:
    from ..vae import VAE


@component("elbo")
class ELBO(VariationalObjective):
    r"""Evidence lower bound, its two terms weighted by the model's weighting.

    .. math:: \mathrm{ELBO} = \mathrm E_{q(z|x)}[\log p(x \mid z)] - \mathrm{KL}(q(z \mid x) \,\|\, p(z))

    The divergence is computed in closed form if there is one; else it is the mean of :math:`\log q(z \mid x) - \log
    p(z)` over the same draws.

    Logs ``nll``, ``kl`` and ``elbo``, unweighted, in nats.

    Args:
        draws: The number of latents drawn for each example.

    References: Kingma and Welling, Auto-Encoding Variational Bayes, 2014, arXiv:1312.6114, eq. 7 and 8.
    """

    def __init__(self, latent_size: int, *, draws: PositiveInt = 1) -> None:
        super().__init__(latent_size)
        self.draws = draws

    def forward(self, vae: VAE, batch: Batch, clock: Clock) -> Terms:
        terms = vae.latent_terms(batch[vae.event.name], self.draws)
        loss, weights = vae.weighting(terms, clock)
        return Terms(loss, {"nll": terms.nll, "kl": terms.kl, "elbo": -(terms.nll + terms.kl)}, weights)
