"""L-VAE and dL-VAE: learned weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from zoo import Clock, LatentTerms, Weighting, component


@component("l_vae")
class LVAE(Weighting):
    r"""Learned weights of the reconstruction and the divergence, as for two tasks with uncertainties.

    .. math:: L = \frac{R}{s_0} + \frac{\mathrm{KL}}{s_1} + s_0 + s_1, \qquad s = \sigma^2, \quad
       \beta = \frac{s_0}{s_1}

    so that for given :math:`R` and :math:`\mathrm{KL}`, the batch's means in nats, it is smallest at :math:`s_0 = \sqrt
    R`, :math:`s_1 = \sqrt{\mathrm{KL}}`. Neither term may be negative. The parameter is ``log_s`` ``[2]``, from
    :math:`s = 1`; give it a separate parameter group::

        optimizer: {type: adam, lr: 1.0e-3, groups: [{match: "*.log_s", lr: 1.0e-2, weight_decay: 0}]}

    Logs the weights ``s_reconstruction``, ``s_kl`` and ``beta``.

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


CURVES = 64
"""The largest number of dimensions whose weights are logged."""


@component("dl_vae")
class DLVAE(Weighting):
    r"""Learned weights of the reconstruction and of the divergence of each latent dimension.

    .. math:: L = w(s_0) R + \sum_i w(s_i) \mathrm{KL}_i + \sum_{j \ge 0} s_j, \qquad w(s) = \frac1{1 + \ln(1 + s)}

    so that for a given term :math:`T`, a batch's mean in nats, it is smallest where :math:`(1 + s)(1 + \ln(1 + s))^2 =
    T`, and at :math:`s = 0`, a weight of one, for :math:`T \le 1`. No term may be negative. ValueError for terms
    without ``kl_dim``. The parameter is ``log_s`` ``[1 + latent_size]``, from :math:`s = 1`; give it a separate
    parameter group::

        optimizer: {type: adam, lr: 1.0e-3, groups: [{match: "*.log_s", lr: 1.0e-2, weight_decay: 0}]}

    Logs the weights ``reconstruction`` and ``kl_0``, ``kl_1`` ... of the first 64 dimensions.

    References: the dimension-wise form of Mogultay Ozcan et al., L-VAE: Variational Auto-Encoder with Learnable Beta
    for Disentangled Representation, 2025, arXiv:2507.02619.

    >>> terms = LatentTerms(torch.tensor([9.0]), torch.tensor([4.0]), torch.tensor([[1.0, 3.0]]), 4)
    >>> loss, weights = DLVAE(2)(terms, None)
    >>> round(loss.item(), 4), list(weights)    # (9 + 1 + 3) / (1 + ln 2) + 3
    (10.678, ['reconstruction', 'kl_0', 'kl_1'])
    """

    needs_kl_dim = True
    needs_bounded = True

    def __init__(self, latent_size: int) -> None:
        super().__init__(latent_size)
        self.log_s = nn.Parameter(torch.zeros(1 + latent_size))

    def forward(self, terms: LatentTerms, clock: Clock) -> tuple[Tensor, Mapping[str, Tensor]]:
        if terms.kl_dim is None:
            raise ValueError("needs kl_dim, a divergence for each latent dimension")
        w = 1.0 / (1.0 + softplus(self.log_s))
        each = torch.cat((terms.nll.mean().reshape(1), terms.kl_dim.mean(0)))
        reconstruction, *kl = w.detach()[: 1 + CURVES].unbind()
        named = {f"kl_{i}": value for i, value in enumerate(kl)}
        return (w * each + self.log_s.exp()).sum(), {"reconstruction": reconstruction, **named}
