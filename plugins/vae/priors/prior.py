"""The kind of priors that a distribution alone cannot be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn

from zoo import Component, Event, Shape

if TYPE_CHECKING:
    from ..vae import VAE


class Prior(Component, nn.Module, ABC):
    r"""A prior :math:`p(z)` that is made with the model's own posterior, or is of no density.

    It gets the model with each call and holds no part of it. A density over latents alone is a `zoo.Distribution`,
    and stands in a spec where these do.
    """

    def __init__(self, event: Event, latent: Shape) -> None:
        super().__init__()
        self.event = event
        self.latent = latent

    @abstractmethod
    def log_prob(self, z: Tensor, vae: VAE) -> Tensor:
        r""":math:`\log p(z)`, ``[B, *latent] -> [B]``, in nats."""

    @abstractmethod
    def sample(self, n: int, vae: VAE, temperature: float = 1.0) -> Tensor:
        """``n`` draws, ``[n, *latent]``."""
