"""A model that can be asked for most pictures, without training: what views are built on by their laws."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..event import Event
from ..interfaces.boundary import Known
from ..interfaces.capabilities import Completes, Reconstructs, Samples, Traces, VariationalBound, Varies
from ..interfaces.model import Batch, Clock, Condition, Model, Terms
from ..interfaces.weighting import LatentTerms
from ..shape import Shape

EVENTS = (
    Event("number", Shape(1)),
    Event("point", Shape(2)),
    Event("image", Shape(1, 8, 8), levels=2),
    Event("image", Shape(3, 32, 24), range=(0.0, 1.0)),
)
GIVEN = Event("image", Shape(3, 8, 8), levels=2, also=(Event("condition", Shape(1, 4, 4), levels=4),))
CODES = (2, 20)


class Pictured(Model, VariationalBound, Samples, Reconstructs, Completes, Traces, Varies):
    """Codes are the first numbers of an example, repeated over it where they are fewer; densities are normal."""

    def __init__(self, event: Event, latent: int) -> None:
        super().__init__(event)
        self.latent = latent

    def __str__(self) -> str:
        return f"{self.event.name}-{self.event.shape}-code{self.latent}"

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        return Terms(-self.log_prob(batch[self.event.name]).mean(), {})

    def encode(self, x: Tensor, context: Condition | None = None) -> Tensor:
        return self._repeated(self.event.unit(x).flatten(1), self.latent)

    def expect(self, z: Tensor, context: Condition | None = None) -> Tensor:
        low, high = (0.0, 1.0) if self.event.levels is not None else self.event.range or (-1.0, 1.0)
        x = low + (high - low) * torch.sigmoid(self._repeated(z, self.event.shape.size))
        return torch.unflatten(x, 1, tuple(self.event.shape))

    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        if self.event.levels is not None:
            return torch.randint(self.event.levels, (n, *self.event.shape)).to(self.event.dtype)
        x = temperature * torch.randn(n, *self.event.shape)
        return x if self.event.range is None else x.clamp(*self.event.range)

    def complete(self, known: Known, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        return torch.where(known.mask, known.x, self.sample(len(known.x), context, temperature))

    def unseen(self, known: Tensor) -> Tensor:
        return torch.full((len(known),), 0.5)

    def trace(self, n: int, frames: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        return torch.stack([self.event.unit(self.sample(n, context, temperature)) for _ in range(frames)])

    def vary(self, x: Tensor, strength: float, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        changed = torch.rand(x.shape) < strength
        return torch.where(changed, self.sample(len(x), context, temperature).to(x.dtype), x)

    def terms(self, x: Tensor, context: Condition | None = None) -> LatentTerms:
        kl_dim = self.encode(x).square() / 2
        nll = (self.event.unit(x).flatten(1).square() / 2 + math.log(2 * math.pi) / 2).sum(1)
        return LatentTerms(nll, kl_dim.sum(1), kl_dim, self.event.shape.size)

    def log_weights(self, x: Tensor, n: int, context: Condition | None = None) -> Tensor:
        terms = self.terms(x, context)
        return -(terms.nll + terms.kl).expand(n, -1)

    @staticmethod
    def _repeated(rows: Tensor, size: int) -> Tensor:
        """Rows ``[B, D] -> [B, size]``, their numbers again and again."""
        return rows.repeat(1, math.ceil(size / rows.shape[1]))[:, :size]


class PicturedGiven(Pictured):
    """The same of images that are conditioned on other images."""

    conditioned_on = "condition"


def pictured() -> Iterator[Pictured]:
    """Models of numbers, points and images, with short and long codes, and one of images given images."""
    yield from (Pictured(event, latent).eval() for event in EVENTS for latent in CODES)
    yield PicturedGiven(GIVEN, CODES[0]).eval()
