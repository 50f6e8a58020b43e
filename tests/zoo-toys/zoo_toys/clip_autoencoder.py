"""Autoencoder of clips."""

from __future__ import annotations

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from zoo import Batch, Clock, Condition, Event, Model, Reconstructs, Samples, Terms, component


@component("clip_autoencoder", example={"width": 8})
class ClipAutoencoder(Model, Reconstructs, Samples):
    r"""Autoencoder of continuous data of any shape by the squared error, with codes pulled towards a standard normal.

    .. math:: L = \lVert g(f(x)) - x \rVert^2 + 0.1 \lVert f(x) \rVert^2

    Samples are :math:`g(z)` with :math:`z \sim \mathcal N(0, 1)`. ValueError if the data has levels.

    Args:
        code: Size of a code.
        width: Size of the hidden layers.

    Shapes: data ``[B, *event.shape]``; codes ``[B, code]``.
    """

    def __init__(self, event: Event, *, code: PositiveInt = 4, width: PositiveInt = 32) -> None:
        super().__init__(event)
        if event.levels is not None:
            raise ValueError(f"'{event.name}' has {event.levels} levels: a squared error needs continuous data")
        D = event.shape.size
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(D, width), nn.ReLU(), nn.Linear(width, code))
        self.decoder = nn.Sequential(nn.Linear(code, width), nn.ReLU(), nn.Linear(width, D))
        self.code = code

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        x = batch[self.event.name]
        z = self.encoder(x)
        error = (self.expect(z) - x).flatten(1).square().sum(1)  # [B]
        return Terms((error + 0.1 * z.square().sum(1)).mean(), {"error": error})

    def encode(self, x: Tensor, context: Condition | None = None) -> Tensor:
        z: Tensor = self.encoder(x)
        return z

    def expect(self, z: Tensor, context: Condition | None = None) -> Tensor:
        x: Tensor = self.decoder(z).unflatten(1, tuple(self.event.shape))
        return x if self.event.range is None else x.clamp(*self.event.range)

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        like = next(self.parameters())
        return self.expect(temperature * torch.randn(n, self.code, dtype=like.dtype, device=like.device))
