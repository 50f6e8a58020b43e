"""Autoencoder."""

from __future__ import annotations

from pydantic import PositiveInt
from torch import Tensor

from zoo import Batch, Clock, Condition, Conditioner, Event, Model, Part, Reconstructs, Shape, Terms, component, named


@component("autoencoder")
class Autoencoder(Model, Reconstructs):
    r"""Autoencoder of continuous data, by the squared error of its reconstruction.

    .. math::
        L = \lVert g(f(x)) - x \rVert^2

    with codes :math:`f(x)`. The logged term is that error. ValueError if the data has levels.

    Args:
        encoder: The network :math:`f` from data to a code.
        decoder: The network :math:`g` from a code to data.
        latent: Size of a code.

    >>> import zoo
    >>> model = Autoencoder(Event("point", Shape(2)), encoder=zoo.declare(Conditioner, "mlp"))
    >>> model.encode(torch.zeros(3, 2)).shape
    torch.Size([3, 1])
    """

    def __init__(
        self,
        event: Event,
        *,
        encoder: Part[Conditioner] = named("mlp", width=16),
        decoder: Part[Conditioner] = named("mlp", width=16),
        latent: PositiveInt = 1,
    ) -> None:
        super().__init__(event)
        if event.levels is not None:
            raise ValueError(f"'{event.name}' has {event.levels} levels: a squared error needs continuous data")
        self.encoder = encoder(event.shape, Shape(latent))
        self.decoder = decoder(Shape(latent), event.shape)

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        x = batch[self.event.name]
        error = (self.expect(self.encode(x)) - x).flatten(1).square().sum(1)  # [B]
        return Terms(error.mean(), {"error": error})

    def encode(self, x: Tensor, context: Condition | None = None) -> Tensor:
        z: Tensor = self.encoder(x)
        return z

    def expect(self, z: Tensor, context: Condition | None = None) -> Tensor:
        x: Tensor = self.decoder(z)
        return x
