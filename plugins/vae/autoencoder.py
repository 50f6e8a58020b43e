"""Autoencoder."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt
from torch import Tensor

from zoo import (
    Batch,
    Clock,
    Condition,
    Decoder,
    Encoder,
    Event,
    Likelihood,
    Model,
    Part,
    Reconstructs,
    Shape,
    Terms,
    component,
)


@component(
    "autoencoder",
    example={"latent": 2, "encoder": "mlp", "decoder": "mlp", "likelihood": "gaussian"},
)
class Autoencoder(Model, Reconstructs):
    r"""Autoencoder: an encoder of data to a code, and a decoder that reconstructs the data from it.

    .. math:: L = -\log p(x \mid h(f(x)))

    Codes have no distribution: it neither samples nor has a likelihood, and its ``nll`` is given the code.

    Logs ``nll``, in nats.

    Args:
        latent: The size of a code, or its shape.
        encoder: The encoder :math:`f`.
        decoder: The decoder :math:`h`.
        likelihood: The likelihood :math:`p` of data given the decoder's output.

    References: Hinton and Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks, 2006,
    doi:10.1126/science.1127647.

    Shapes: data ``[B, *event.shape]``; codes ``[B, *latent]``.
    """

    def __init__(
        self,
        event: Event,
        *,
        latent: PositiveInt | Annotated[tuple[PositiveInt, ...], Field(min_length=1)],
        encoder: Part[Encoder],
        decoder: Part[Decoder],
        likelihood: Part[Likelihood],
    ) -> None:
        super().__init__(event)
        shape = Shape(*latent) if isinstance(latent, tuple) else Shape(latent)
        self.likelihood = likelihood(event)
        self.encoder = encoder(event.shape, shape)
        self.decoder = decoder(shape, self.likelihood.decoded)

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        x = batch[self.event.name]
        nll = -self.likelihood.log_prob(x, self.decoder(self.encode(x)))
        return Terms(nll.mean(), {"nll": nll})

    def encode(self, x: Tensor, context: Condition | None = None) -> Tensor:
        like = next(self.decoder.parameters())
        z: Tensor = self.encoder(self.event.unit(x, like.dtype))
        return z

    def expect(self, z: Tensor, context: Condition | None = None) -> Tensor:
        return self.likelihood.mean(self.decoder(z))
