"""The kind of objectives that a variational autoencoder is trained by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import nn

from zoo import Batch, Clock, Component, Player, Terms

if TYPE_CHECKING:
    from ..vae import VAE


class VariationalObjective(Component, nn.Module, ABC):
    """What a variational autoencoder is trained to minimise. It gets the model with each batch and holds no part of it.

    ValueError, from `check`, where a model cannot be trained so.
    """

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.latent_size = latent_size

    @abstractmethod
    def forward(self, vae: VAE, batch: Batch, clock: Clock) -> Terms:
        """The loss of a batch, and its unweighted terms."""

    def check(self, vae: VAE) -> None:
        """A hook that raises ValueError where this model's parts do not do."""

    def players(self) -> Sequence[Player]:
        """Who is trained in turn; a hook for objectives with networks of their own."""
        return (Player("model"),)
