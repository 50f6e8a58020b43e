"""Constant weight of the divergence."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import NonNegativeFloat
from torch import Tensor

from zoo import Clock, LatentTerms, Weighting, component


@component("beta")
class Beta(Weighting):
    r"""Constant weight of the divergence: 1 is the variational autoencoder, 4 the usual beta-VAE.

    .. math:: L = R + \beta\, \mathrm{KL}

    Args:
        beta: The weight :math:`\beta`.

    References: Higgins et al., beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework,
    2017, ICLR, eq. 4.

    >>> import torch
    >>> terms = LatentTerms(torch.tensor([3.0]), torch.tensor([2.0]), None, 4)
    >>> Beta(2, beta=4.0)(terms, None)[0]
    tensor(11.)
    """

    def __init__(self, latent_size: int, *, beta: NonNegativeFloat = 1.0) -> None:
        super().__init__(latent_size)
        self.beta = beta

    def forward(self, terms: LatentTerms, clock: Clock) -> tuple[Tensor, Mapping[str, Tensor]]:
        return (terms.nll + self.beta * terms.kl).mean(), {"beta": terms.kl.new_tensor(self.beta)}
