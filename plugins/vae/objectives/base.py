"""The kind of variational objectives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import nn

from zoo import Batch, Clock, Component, Player, Terms

if TYPE_CHECKING:
    from ..vae import VAE
from ..weightings.beta import Beta


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


def check_unweighted(vae: VAE, why: str) -> None:
    """ValueError, with the reason, unless the model's weighting is one that changes nothing."""
    if not (isinstance(vae.weighting, Beta) and vae.weighting.beta == 1.0):
        raise ValueError(f"{why}: leave out the model's weighting, which is then 'beta' with 1")
