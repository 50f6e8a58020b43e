"""Uniform prior of categories."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from zoo import Event, Shape, component

from ..posteriors.one_hot import OneHot, check_variables
from .prior import Prior

if TYPE_CHECKING:
    from ..vae import VAE


@component("uniform_categories")
class UniformCategories(Prior, OneHot):
    r"""Independent variables whose categories are all alike: the prior of a `categorical` posterior.

    .. math:: \log p(z) = -N \log K

    A draw is unit vectors. The temperature has no meaning for it: there is no mode to draw closer to.

    Shapes: latents ``[B, N, K]``, ``log_prob`` ``[B]`` in nats. ValueError for a latent of other than two sizes.

    >>> import zoo
    >>> prior = UniformCategories(zoo.Event("point", Shape(2)), Shape(4, 3))
    >>> z = prior.sample(5, None)
    >>> z.shape, z.sum(-1).unique(), prior.log_prob(z, None)[0]    # 4 log 1/3
    (torch.Size([5, 4, 3]), tensor([1.]), tensor(-4.3944))
    """

    like: Tensor

    def __init__(self, event: Event, latent: Shape) -> None:
        check_variables(latent)
        super().__init__(event, latent)
        # Draws have the dtype and the device of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)
        self._log_p = -latent[0] * math.log(latent[1])

    def log_prob(self, z: Tensor, vae: VAE) -> Tensor:
        return z.new_full(z.shape[:1], self._log_p)

    def sample(self, n: int, vae: VAE, temperature: float = 1.0) -> Tensor:
        N, K = self.latent
        k = torch.randint(K, (n, N), device=self.like.device)
        return one_hot(k, K).to(self.like.dtype)
