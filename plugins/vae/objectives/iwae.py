"""Importance-weighted bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PositiveInt

from zoo import Batch, Clock, Terms, component

from ..posteriors.one_hot import OneHot
from .base import VariationalObjective, check_unweighted

if TYPE_CHECKING:
    from ..vae import VAE


@component("iwae")
class IWAE(VariationalObjective):
    r"""Importance-weighted bound, which is tighter with more draws.

    .. math:: L = -\mathrm E_{z_1 \dots z_K \sim q(z|x)} \Bigl[\log \frac1K \sum_{k=1}^K w_k\Bigr], \qquad
       w_k = \frac{p(x, z_k)}{q(z_k \mid x)}

    The gradient is reparameterised; with one draw it is the evidence lower bound estimated by that draw. Latents from
    strata are weighted by the mass of their stratum.

    ValueError for a model with a weighting other than ``beta`` with 1, since the bound does not have two terms to
    weight, and for categorical latents, since the probability of a relaxed draw has no gradient.

    Logs the bound, ``iwae``, and ``nll``, ``kl`` and ``elbo`` from the same draws, in nats.

    Args:
        draws: The number of latents drawn for each example, :math:`K`.

    References: Burda et al., Importance Weighted Autoencoders, 2016, arXiv:1509.00519, eq. 8 and 13.
    """

    def __init__(self, latent_size: int, *, draws: PositiveInt = 5) -> None:
        super().__init__(latent_size)
        self.draws = draws

    def check(self, vae: VAE) -> None:
        check_unweighted(vae, "the importance-weighted bound is one number: it has no two terms to weight")
        if isinstance(vae.posterior, OneHot):
            raise ValueError("the importance-weighted bound needs a density of latents, but categories have none")

    def forward(self, vae: VAE, batch: Batch, clock: Clock) -> Terms:
        x = batch[vae.event.name]
        draws = vae.posterior.draw(vae.answer(x), self.draws)
        log_p = vae.log_likelihood(x, draws.z)
        log_ratio = draws.log_q - vae.log_prior(draws.z)
        bound = (log_p - log_ratio + draws.log_weight).logsumexp(0)  # the weights of a mean are among them
        weight = draws.log_weight.exp()
        nll, kl = -(weight * log_p).sum(0), (weight * log_ratio).sum(0)
        return Terms(-bound.mean(), {"iwae": bound, "nll": nll, "kl": kl, "elbo": -(nll + kl)})
