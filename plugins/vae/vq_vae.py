"""Vector-quantised variational autoencoder."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor

from zoo import (
    Batch,
    Clock,
    Condition,
    Decoder,
    Decodes,
    Encoder,
    Event,
    Likelihood,
    Model,
    Part,
    Quantizes,
    SamplesMeans,
    Shape,
    Terms,
    component,
)

from .quantizers import Quantized, Quantizer, members


@component(
    "vq_vae",
    example={
        "latent": 2,
        "encoder": "mlp",
        "decoder": "mlp",
        "likelihood": "gaussian",
        "quantizer": {"type": "vq", "size": 8},
    },
)
class VQVAE(Model, Quantizes, Decodes, SamplesMeans):
    r"""VQ-VAE: the latent is a map of codes, each the nearest in a codebook to the encoder's output.

    .. math:: L = -\log p(x \mid e) + \lambda\, |\mathrm{sg}[z_e] - e|^2 + \beta\, |z_e - \mathrm{sg}[e]|^2

    where the decoder's gradient is passed to :math:`z_e` as if it were :math:`e`. As in the paper :math:`\beta` weights
    the term that moves the encoder, and not, as in several libraries, the one that moves the codes; that has
    :math:`\lambda`, the weight of the quantizer. All three are sums over the event, not means.

    The posterior is deterministic and the prior uniform over the :math:`K` codes, so that the divergence is a constant
    and the likelihood bounded:

    .. math:: \log p(x) \ge \log p(x \mid e) - hw \log K

    Samples are from that prior: noise, until a `CodePrior` learns another. The temperature scales only the noise of the
    likelihood.

    Logs ``nll``, ``kl`` (the constant), ``elbo``, ``commitment`` and ``codebook``, all unweighted, and ``perplexity``,
    the effective number of codes in a batch, :math:`\exp(-\sum_k p_k \log p_k)`.

    Args:
        latent: The shape ``[D, h, w]`` of vectors of ``D`` numbers at ``h`` times ``w`` places, or ``D`` for a
            single vector.
        encoder: The network from data to :math:`z_e`.
        decoder: The network from :math:`e` to the parameters of the likelihood.
        likelihood: The likelihood :math:`p` of data given the decoder's output.
        quantizer: The quantizer that computes the nearest codes :math:`e`.
        commitment_weight: The weight :math:`\beta` of the commitment term.

    References: van den Oord et al., Neural Discrete Representation Learning, 2017, arXiv:1711.00937, eq. 3.

    Shapes: data ``[B, *event.shape]``; codes of `encode` and `expect`, quantized vectors ``[B, *latent]``; the latent
    of `decode` has the noise of the likelihood after those numbers.
    """

    exact = False

    def __init__(
        self,
        event: Event,
        *,
        latent: PositiveInt | Annotated[tuple[PositiveInt, ...], Field(min_length=1)],
        encoder: Part[Encoder],
        decoder: Part[Decoder],
        likelihood: Part[Likelihood],
        quantizer: Part[Quantizer],
        commitment_weight: NonNegativeFloat = 0.25,
    ) -> None:
        super().__init__(event)
        self.latent = Shape(*latent) if isinstance(latent, tuple) else Shape(latent)
        self.likelihood = likelihood(event)
        self.density = self.likelihood.density
        self.encoder = encoder(event.shape, self.latent)
        self.quantizer = quantizer(self.latent)
        self.decoder = decoder(self.latent, self.likelihood.decoded)
        self.commitment_weight = commitment_weight
        self.kl = self.latent.size // self.latent[0] * math.log(self.quantizer.size)

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        x = batch[self.event.name]
        z, codes, commitment, codebook = self.quantize(x)
        nll = -self.likelihood.log_prob(x, self.decoder(z))
        weights = {"commitment": self.commitment_weight, "codebook": self.quantizer.codebook_weight}
        loss = nll + weights["commitment"] * commitment + weights["codebook"] * codebook
        logs = {"nll": nll, "kl": torch.full_like(nll, self.kl), "elbo": -(nll + self.kl)}
        logs |= {"commitment": commitment, "codebook": codebook, "perplexity": perplexity(codes, self.quantizer.size)}
        return Terms(loss.mean(), logs, {name: nll.new_tensor(weight) for name, weight in weights.items()})

    def quantize(self, x: Tensor) -> Quantized:
        """The codes of data, with the terms of their loss."""
        like = next(self.decoder.parameters())
        answer: Quantized = self.quantizer(self.encoder(self.event.unit(x, like.dtype)))
        return answer

    def log_prob(self, x: Tensor, context: Condition | None = None) -> Tensor:
        log_p: Tensor = self.likelihood.log_prob(x, self.decoder(self.quantize(x).z))
        return log_p - self.kl

    def codes(self, x: Tensor) -> Tensor:
        """The numbers of the codes of data, int64 ``[B, *latent[1:]]``."""
        return self.quantize(x).codes

    def code_event(self) -> Event:
        return Event("code", Shape(1, *self.latent.dims[1:]), self.quantizer.size, classes=self.event.classes)

    def log_likelihood(self, x: Tensor, codes: Tensor) -> Tensor:
        log_p: Tensor = self.likelihood.log_prob(x, self.decoder(self.embed(codes)))
        return log_p

    def draw_given(self, codes: Tensor, temperature: float = 1.0) -> Tensor:
        noise = self.likelihood.noise(codes.shape[0], temperature)
        return self.likelihood.draw(self.decoder(self.embed(codes)), noise)

    def embed(self, codes: Tensor) -> Tensor:
        """The vectors of codes, ``[B, *latent[1:]] -> [B, *latent]``, as `expect` takes them."""
        z: Tensor = self.quantizer.embed(codes)
        return z

    def encode(self, x: Tensor, context: Condition | None = None) -> Tensor:
        return self.quantize(x).z

    def expect(self, z: Tensor, context: Condition | None = None) -> Tensor:
        return self.likelihood.mean(self.decoder(z))

    def draw_latent(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        noise = self.likelihood.noise(n, temperature)
        codes = torch.randint(self.quantizer.size, (n, *self.latent.dims[1:]), device=noise.device)
        return torch.cat((self.embed(codes).flatten(1), noise), dim=1)

    def mean_given(self, codes: Tensor) -> Tensor:
        return self.expect(self.embed(codes))

    def sample_mean(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        z = self.draw_latent(n, context, temperature)[:, : self.latent.size]
        return self.event.of_unit(self.expect(torch.unflatten(z, 1, self.latent.dims), context))

    def decode(self, z: Tensor, context: Condition | None = None) -> Tensor:
        latent, noise = torch.split(z, [self.latent.size, self.likelihood.noise_size], dim=1)
        return self.likelihood.draw(self.decoder(torch.unflatten(latent, 1, self.latent.dims)), noise)


def perplexity(codes: Tensor, size: int) -> Tensor:
    """The effective number of codes in use, between 1 and ``size``.

    >>> perplexity(torch.tensor([0, 0, 3, 3]), 8)
    tensor(2.)
    """
    share = members(codes.flatten(), size).mean(0)
    entropy: Tensor = torch.special.entr(share).sum()
    return entropy.exp()
