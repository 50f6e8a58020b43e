"""L-VAE: both weights are learned."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from zoo import Clock, LatentTerms, Weighting, component


@component("l_vae")
class LVAE(Weighting):
    r"""Learned weights of the reconstruction and the divergence, as of two tasks with uncertainties.

    .. math:: L = \frac{R}{s_0} + \frac{\mathrm{KL}}{s_1} + s_0 + s_1, \qquad s = \sigma^2, \quad
       \beta = \frac{s_0}{s_1}

    so that for given :math:`R` and :math:`\mathrm{KL}`, the batch's means in nats, it is least at :math:`s_0 =
    \sqrt R`, :math:`s_1 = \sqrt{\mathrm{KL}}`. Neither term may be negative. The parameter is ``log_s`` ``[2]``, from
    :math:`s = 1`; give it a group of its own::

        optimizer: {type: adam, lr: 1.0e-3, groups: [{match: "*.log_s", lr: 1.0e-2, weight_decay: 0}]}

    Gives the weights ``s_reconstruction``, ``s_kl`` and ``beta``.

    References: Mogultay Ozcan et al., L-VAE: Variational Auto-Encoder with Learnable Beta for Disentangled
    Representation, 2025, arXiv:2507.02619.

    >>> terms = LatentTerms(torch.tensor([9.0]), torch.tensor([4.0]), None, 4)
    >>> LVAE(2)(terms, None)[0].item()    # 9 + 4 + 1 + 1
    15.0
    """

    needs_bounded = True

    def __init__(self, latent_size: int) -> None:
        super().__init__(latent_size)
        self.log_s = nn.Parameter(torch.zeros(2))

    def forward(self, terms: LatentTerms, clock: Clock) -> tuple[Tensor, Mapping[str, Tensor]]:
        s = self.log_s.exp()
        loss = (torch.stack((terms.nll.mean(), terms.kl.mean())) / s + s).sum()
        s_0, s_1 = s.detach().unbind()
        return loss, {"s_reconstruction": s_0, "s_kl": s_1, "beta": s_0 / s_1}
