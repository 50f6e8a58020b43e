"""Free bits."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import NonNegativeFloat
from torch import Tensor

from zoo import Clock, LatentTerms, Weighting, component


@component("free_bits")
class FreeBits(Weighting):
    r"""Free bits: the divergence of a latent is charged only beyond a free amount, below which it may carry
    information.

    .. math:: L = R + \sum_j \max(\lambda,\, \mathrm E_{x}[\mathrm{KL}_j])

    with the mean over the batch. Logs the weight ``charged``: the share of the latents that have more than the free
    amount.

    Args:
        nats: The free amount for each latent, :math:`\lambda`.

    References: Kingma et al., Improved variational inference with inverse autoregressive flow, 2016, arXiv:1606.04934,
    app. C.8.

    >>> import torch
    >>> terms = LatentTerms(torch.tensor([3.0]), torch.tensor([2.1]), torch.tensor([[2.0, 0.1]]), 4)
    >>> loss, weights = FreeBits(2, nats=0.5)(terms, None)
    >>> loss, weights["charged"]
    (tensor(5.5000), tensor(0.5000))
    """

    needs_kl_dim = True

    def __init__(self, latent_size: int, *, nats: NonNegativeFloat = 0.25) -> None:
        super().__init__(latent_size)
        self.nats = nats

    def forward(self, terms: LatentTerms, clock: Clock) -> tuple[Tensor, Mapping[str, Tensor]]:
        if terms.kl_dim is None:
            raise ValueError("needs kl_dim, a divergence for each latent dimension")
        kl = terms.kl_dim.mean(0)
        return terms.nll.mean() + kl.clamp(min=self.nats).sum(), {"charged": (kl > self.nats).to(kl.dtype).mean()}
