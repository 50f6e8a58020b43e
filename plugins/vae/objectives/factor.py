"""FactorVAE: training against a discriminator of latents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from pydantic import NonNegativeFloat
from torch import Tensor
from torch.nn.functional import softplus

from zoo import Batch, BatchStatistics, Clock, Encoder, Part, Player, Shape, Terms, component, named

from ..posteriors.base import Draws
from .base import VariationalObjective

if TYPE_CHECKING:
    from ..vae import VAE

DISCRIMINATOR = "discriminator"


@component("factor", example={"discriminator": {"type": "mlp", "width": 8, "depth": 1}})
class Factor(BatchStatistics, VariationalObjective):
    r"""FactorVAE: the total correlation, estimated by a discriminator, is added to the loss.

    .. math:: L = L_\mathrm{ELBO} + \gamma\, \mathrm E_{q(z)}[D(z)], \qquad
       D(z) \approx \log \frac{q(z)}{\prod_j q(z_j)}

    :math:`L_\mathrm{ELBO}` is the bound as weighted by the model's weighting. The discriminator is a separate player,
    trained on another batch: the latents of the first half are draws of :math:`q(z)`, those of the other half, each
    dimension permuted among them, draws of :math:`\prod_j q(z_j)`.

    .. math:: L_D = -\tfrac12 \mathrm E_{q(z)}[\log \sigma(D(z))]
       - \tfrac12 \mathrm E_{\prod_j q(z_j)}[\log \sigma(-D(z))]

    as in algorithm 2 of the paper, whose sum over both halves is divided by their number together: :math:`\log 2` if
    the two cannot be distinguished.

    ValueError for a latent whose divergence is not a sum over single numbers.

    Logs of the player ``vae``: ``nll``, ``kl``, ``elbo`` and ``tc``, in nats; of the player ``discriminator``: ``bce``,
    in nats, and ``accuracy``, a half if the two cannot be distinguished.

    Args:
        gamma: The weight :math:`\gamma` of the total correlation.
        discriminator: The network :math:`D` from a latent to one logit, the logarithm of the density ratio.

    References: Kim and Mnih, Disentangling by Factorising, 2018, arXiv:1802.05983, eq. 2-3 and algorithm 2.
    """

    least_batch = 4  # two halves, of each at least two

    def __init__(
        self,
        latent_size: int,
        *,
        gamma: NonNegativeFloat = 35.0,
        discriminator: Part[Encoder] = named("mlp", width=1000, depth=5, activation="leaky_relu"),
    ) -> None:
        super().__init__(latent_size)
        self.gamma = gamma
        self.discriminator = discriminator(Shape(latent_size), Shape(1))

    def check(self, vae: VAE) -> None:
        if vae.latent.size != self.latent_size:
            raise ValueError(
                f"permutes single numbers: the latent has {vae.latent.size}, but the divergence has "
                f"{self.latent_size} terms"
            )

    def players(self) -> Sequence[Player]:
        return (Player("vae", "*", but="objective.discriminator.*"), Player(DISCRIMINATOR, "objective.discriminator.*"))

    def forward(self, vae: VAE, batch: Batch, clock: Clock) -> Terms:
        x = batch[vae.event.name]
        if clock.player == DISCRIMINATOR:
            with torch.no_grad():
                z = _one_of_each(vae.posterior.draw(vae.answer(x), 1))
            return self.discriminate(z)
        h = vae.answer(x)
        draws = vae.posterior.draw(h, 1)
        terms = vae.terms_of(x, h, draws)
        bound, weights = vae.weighting(terms, clock)
        S, B = draws.log_weight.shape
        ratio = self.discriminator(draws.z.flatten(0, 1).flatten(1)).reshape(S, B)
        tc = (draws.log_weight.exp() * ratio).sum(0)
        logs = {"nll": terms.nll, "kl": terms.kl, "elbo": -(terms.nll + terms.kl), "tc": tc}
        return Terms(bound + self.gamma * tc.mean(), logs, {**weights, "gamma": bound.new_tensor(self.gamma)})

    def discriminate(self, z: Tensor) -> Terms:
        """The discriminator's loss on latents ``[B, L]``."""
        half = z.shape[0] // 2
        logit = self.discriminator(torch.cat((z[:half], permuted(z[half:])))).squeeze(1)  # [B]
        joint = torch.arange(logit.shape[0], device=z.device) < half
        # Both halves weigh equally, whatever their sizes, so that the logit is the ratio of the densities.
        weight = torch.where(joint, 0.5 / max(half, 1), 0.5 / (z.shape[0] - half))
        bce = (weight * softplus(torch.where(joint, -logit, logit))).sum()
        accuracy = (weight * ((logit > 0) == joint)).sum()
        return Terms(bce, {"bce": bce, "accuracy": accuracy})


def _one_of_each(draws: Draws) -> Tensor:
    """One latent of each example, ``[B, L]``; one of several strata is drawn by its mass."""
    z = draws.z.flatten(2)  # [S, B, L]
    if z.shape[0] == 1:
        return z[0]
    number = torch.multinomial(draws.log_weight.exp().mT, 1).squeeze(1)
    return z[number, torch.arange(z.shape[1], device=z.device)]


def permuted(z: Tensor) -> Tensor:
    r"""Each dimension permuted separately over the batch: draws of :math:`\prod_j q(z_j)`, ``[B, L]``.

    >>> permuted(torch.arange(6.0).reshape(3, 2)).sort(0).values.tolist()
    [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    """
    return z.gather(0, torch.rand_like(z).argsort(0))
