"""Variational autoencoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from zoo import (
    Batch,
    Clock,
    Condition,
    Decoder,
    Decodes,
    Distribution,
    Encoder,
    Event,
    LatentTerms,
    Likelihood,
    Model,
    Part,
    Player,
    Reconstructs,
    SamplesMeans,
    Shape,
    SpecError,
    Terms,
    VariationalBound,
    Weighting,
    component,
    named,
)

from .objectives.base import VariationalObjective
from .posteriors.base import Draws, Posterior
from .priors import Prior

Sizes = PositiveInt | Annotated[tuple[PositiveInt, ...], Field(min_length=1)]


@component(
    "vae",
    example={"latent": 2, "encoder": "mlp", "decoder": "mlp", "likelihood": "gaussian"},
)
class VAE(Model, VariationalBound, Reconstructs, Decodes, SamplesMeans):
    r"""Variational autoencoder: a latent, a decoder that generates data from it, and an encoder that infers it.

    .. math:: \log p(x) \ge \mathrm E_{q(z|x)}[\log p(x \mid z)] - \mathrm{KL}(q(z \mid x) \,\|\, p(z)) = -(R +
       \mathrm{KL})

    Its parts are independent: the posterior determines the shape of the encoder's output, the likelihood that of the
    decoder's.

    SpecError if the weighting needs what the other parts do not provide.

    Args:
        latent: The size of :math:`z`, or its shape, such as ``[16, 4, 4]``.
        encoder: The network from data to the parameters of the posterior.
        decoder: The network from the latent to the parameters of the likelihood.
        likelihood: The distribution :math:`p(x \mid z)` of data given the decoder's output.
        posterior: The approximate posterior :math:`q(z \mid x)`.
        prior: The prior :math:`p(z)`: a distribution, or one that depends on the posterior.
        weighting: The loss as a function of :math:`R` and :math:`\mathrm{KL}`.
        objective: The estimate of both terms in training.

    References: Kingma and Welling, Auto-Encoding Variational Bayes, 2014, arXiv:1312.6114.

    Shapes: data ``[B, *event.shape]``; codes, the means of the posterior, ``[B, *latent]``; the latent of `decode` has
    the noise of the likelihood after those numbers.

    >>> import zoo
    >>> parts = {"latent": 2, "encoder": "mlp", "decoder": "mlp", "likelihood": "bernoulli"}
    >>> event = zoo.Event("image", zoo.Shape(1, 4, 4), levels=2)
    >>> vae = zoo.declare(zoo.Model, {"type": "vae", **parts})(event)
    >>> x = vae.sample(3)
    >>> x.shape, vae.encode(x).shape, vae.log_prob(x).shape
    (torch.Size([3, 1, 4, 4]), torch.Size([3, 2]), torch.Size([3]))
    """

    def __init__(
        self,
        event: Event,
        *,
        latent: Sizes,
        encoder: Part[Encoder],
        decoder: Part[Decoder],
        likelihood: Part[Likelihood],
        posterior: Part[Posterior] = named("diagonal_normal"),
        prior: Part[Distribution] | Part[Prior] = named("standard_normal"),
        weighting: Part[Weighting] = named("beta"),
        objective: Part[VariationalObjective] = named("elbo"),
    ) -> None:
        super().__init__(event)
        self.latent = Shape(*latent) if isinstance(latent, tuple) else Shape(latent)
        self.posterior = posterior(self.latent)
        self.likelihood = likelihood(event)
        self.density = self.likelihood.density
        self.encoder = encoder(event.shape, self.posterior.encoded)
        self.decoder = decoder(self.latent, self.likelihood.decoded)
        self.prior = prior(event, self.latent) if issubclass(prior.cls, Prior) else prior(self.latent)
        self.posterior.check_prior(self.prior)
        self.weighting = weighting(self.posterior.dimensions)
        self.objective = objective(self.posterior.dimensions)
        _check(weighting, self)
        self.objective.check(self)

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        terms: Terms = self.objective(self, batch, clock)
        return terms

    def players(self) -> Sequence[Player]:
        return self.objective.players()

    # -- inference --------------------------------------------------------------------------------------------------

    def answer(self, x: Tensor) -> Tensor:
        """The encoder's output for data, ``[B, *posterior.encoded]``."""
        like = next(self.decoder.parameters())
        h: Tensor = self.encoder(self.event.unit(x, like.dtype))
        return h

    def latent_terms(self, x: Tensor, n: int = 1) -> LatentTerms:
        """Both terms of the bound, by ``n`` draws of each latent."""
        h = self.answer(x)
        return self.terms_of(x, h, self.posterior.draw(h, n))

    def terms_of(self, x: Tensor, h: Tensor, draws: Draws) -> LatentTerms:
        """Both terms of the bound, by latents drawn from the encoder's output ``h``."""
        weight = draws.log_weight.exp()
        nll = -(weight * self.log_likelihood(x, draws.z)).sum(0)
        kl = self.posterior.divergence(h, self.prior)
        if kl is None:
            kl = (weight * (draws.log_q - self.log_prior(draws.z))).sum(0)
        by_dimension = kl if kl.dim() == 2 else None
        return LatentTerms(nll, kl if by_dimension is None else kl.sum(1), by_dimension, self.event.shape.size)

    def terms(self, x: Tensor, context: Condition | None = None) -> LatentTerms:
        return self.latent_terms(x)

    def log_weights(self, x: Tensor, n: int, context: Condition | None = None) -> Tensor:
        return self.importance(x, self.posterior.draw(self.answer(x), n))

    def importance(self, x: Tensor, draws: Draws) -> Tensor:
        r""":math:`\log p(x, z) - \log q(z \mid x)` of each draw, ``[S, B]``, with the weights of strata."""
        log_w = self.log_likelihood(x, draws.z) + self.log_prior(draws.z) - draws.log_q
        return log_w + draws.log_weight + math.log(draws.z.shape[0])

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        r""":math:`\log p(x \mid z)` of latents ``[S, B, *latent]``, ``[S, B]``."""
        S, B = z.shape[:2]
        h = self.decoder(z.flatten(0, 1))  # [S * B, *decoded]
        repeated = x if S == 1 else x.expand(S, *x.shape).flatten(0, 1)
        return self.likelihood.log_prob(repeated, h).reshape(S, B)

    def log_prior(self, z: Tensor) -> Tensor:
        r""":math:`\log p(z)` of latents ``[S, B, *latent]``, ``[S, B]``."""
        flat = z.flatten(0, 1)
        prior = self.prior
        log_p = prior.log_prob(flat, self) if isinstance(prior, Prior) else prior.log_prob(flat)
        return log_p.reshape(z.shape[:2])

    # -- codes and draws --------------------------------------------------------------------------------------------

    def encode(self, x: Tensor, context: Condition | None = None) -> Tensor:
        return self.posterior.mean(self.answer(x))

    def expect(self, z: Tensor, context: Condition | None = None) -> Tensor:
        return self.likelihood.mean(self.decoder(z))

    def draw_latent(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        prior = self.prior
        z = prior.sample(n, self, temperature) if isinstance(prior, Prior) else prior.sample(n, None, temperature)
        return torch.cat((z.flatten(1), self.likelihood.noise(n, temperature)), dim=1)

    def sample_mean(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        z = self.draw_latent(n, context, temperature)[:, : self.latent.size]
        return self.event.of_unit(self.expect(torch.unflatten(z, 1, tuple(self.latent)), context))

    def decode(self, z: Tensor, context: Condition | None = None) -> Tensor:
        latent, noise = torch.split(z, [self.latent.size, self.likelihood.noise_size], dim=1)
        return self.likelihood.draw(self.decoder(torch.unflatten(latent, 1, tuple(self.latent))), noise)


def _check(weighting: Part[Weighting], vae: VAE) -> None:
    """SpecError, at the line of the weighting, if its needs are not met."""
    built = vae.weighting
    if built.needs_bounded and not vae.likelihood.bounded:
        name = vae.likelihood.declaration.name if vae.likelihood.declaration else type(vae.likelihood).__name__
        raise SpecError(
            weighting.problem(
                f"needs a reconstruction that is never negative, but likelihood '{name}' is a density that can exceed "
                "one: its nll has no lower bound at zero"
            )
        )
    if not (built.needs_bounded or built.needs_kl_dim):
        return
    divergence = vae.posterior.divergence(torch.zeros(1, *vae.posterior.encoded), vae.prior)
    if divergence is None and not built.needs_kl_dim:
        raise SpecError(
            weighting.problem(
                "needs a divergence that is never negative, and that of this posterior and prior has no closed form: "
                "its estimates can be"
            )
        )
    if built.needs_kl_dim and (divergence is None or divergence.dim() != 2):
        raise SpecError(
            weighting.problem(
                "needs a divergence that is a sum over latent dimensions: this posterior and prior have none; "
                "use 'diagonal_normal' with 'standard_normal' or 'normal'"
            )
        )
