"""What objectives with weights of their own ask of a model: that no other weighting is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..weightings.beta import Beta

if TYPE_CHECKING:
    from ..vae import VAE


def check_unweighted(vae: VAE, why: str) -> None:
    """ValueError, with the reason, unless the model's weighting is one that changes nothing."""
    if not (isinstance(vae.weighting, Beta) and vae.weighting.beta == 1.0):
        raise ValueError(f"{why}: leave out the model's weighting, which is then 'beta' with 1")
