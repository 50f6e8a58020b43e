"""Kind of variational objectives."""

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
    """Training objective of a variational autoencoder, which is passed with each batch.

    `check` raises ValueError if a model cannot be trained with it.
    """

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.latent_size = latent_size

    @abstractmethod
    def forward(self, vae: VAE, batch: Batch, clock: Clock) -> Terms:
        """The loss of a batch, and its unweighted terms."""

    def check(self, vae: VAE) -> None:
        """Raise ValueError if the parts of this model do not fit. Override where there are conditions."""

    def players(self) -> Sequence[Player]:
        """The players, trained in turn. Override for objectives that have networks."""
        return (Player("model"),)


def check_unweighted(vae: VAE, why: str) -> None:
    """ValueError, with the reason, unless the model's weighting is a constant one."""
    if not (isinstance(vae.weighting, Beta) and vae.weighting.beta == 1.0):
        raise ValueError(f"{why}: leave out the model's weighting, which is then 'beta' with 1")
