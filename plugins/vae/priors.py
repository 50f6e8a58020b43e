"""Priors that depend on the model, such as VampPrior."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn

from zoo import Component, Event, Shape

if TYPE_CHECKING:
    from .vae import VAE
import math

import torch
from pydantic import PositiveFloat, PositiveInt
from torch.nn.functional import one_hot

from zoo import component

from .posteriors.one_hot import OneHot, check_variables


class Prior(Component, nn.Module, ABC):
    r"""Prior :math:`p(z)` that depends on the posterior of the model, or is not a density.

    It is passed the model with each call. A density that depends only on latents is a `zoo.Distribution`, and can take
    the place of a prior in a spec.
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


@component("uniform_categories")
class UniformCategories(Prior, OneHot):
    r"""Independent uniform categories: the prior of a `categorical` posterior.

    .. math:: \log p(z) = -N \log K

    A draw consists of unit vectors. The temperature has no effect: a uniform distribution has no mode.

    Shapes: latents ``[B, N, K]``, ``log_prob`` ``[B]`` in nats. ValueError for a latent whose shape does not have two
    sizes.

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


@component("vamp", example={"components": 4})
class Vamp(Prior):
    r"""VampPrior: the mixture of the posteriors of learned pseudo-inputs.

    .. math:: p(z) = \frac1K \sum_{k=1}^K q(z \mid u_k)

    The pseudo-inputs :math:`u_k` are data on the scale of `Event.unit`, and pass through the model's encoder with each
    batch. For data with levels or a range a sigmoid limits them to it, where the paper has a hard limit, without a
    gradient. They start at random around the middle (zero, for other data), since equal ones would stay equal.

    The temperature scales a draw's distance from the mean of its pseudo-input's posterior.

    Args:
        components: The number of pseudo-inputs, :math:`K`.
        spread: The initial standard deviation of the pseudo-inputs, before the sigmoid.

    References: Tomczak and Welling, VAE with a VampPrior, 2018, arXiv:1705.07120, eq. 9.

    Shapes: latents ``[B, *latent]``, ``log_prob`` ``[B]`` in nats; in between ``[B, K, *latent]``.

    >>> import zoo
    >>> parts = {"latent": 2, "encoder": "mlp", "decoder": "mlp", "likelihood": "bernoulli"}
    >>> node = {"type": "vae", **parts, "prior": {"type": "vamp", "components": 8}}
    >>> vae = zoo.declare(zoo.Model, node)(zoo.Event("image", zoo.Shape(1, 4, 4), levels=2))
    >>> vae.prior.log_prob(torch.zeros(3, 2), vae).shape, vae.sample(3).shape
    (torch.Size([3]), torch.Size([3, 1, 4, 4]))
    """

    def __init__(
        self, event: Event, latent: Shape, *, components: PositiveInt = 500, spread: PositiveFloat = 0.1
    ) -> None:
        super().__init__(event, latent)
        self.pseudo = nn.Parameter(spread * torch.randn(components, *event.shape))
        self._range = event.range if event.levels is None else (0.0, 1.0)

    def inputs(self) -> Tensor:
        """The pseudo-inputs, ``[K, *event.shape]``, on the scale of `Event.unit`."""
        if self._range is None:
            return self.pseudo
        low, high = self._range
        return low + (high - low) * self.pseudo.sigmoid()

    def log_prob(self, z: Tensor, vae: VAE) -> Tensor:
        h = vae.encoder(self.inputs())
        log_q = vae.posterior.log_prob(z.unsqueeze(1), h.unsqueeze(0))  # [B, K]
        return log_q.logsumexp(1) - math.log(self.pseudo.shape[0])

    def sample(self, n: int, vae: VAE, temperature: float = 1.0) -> Tensor:
        k = torch.randint(self.pseudo.shape[0], (n,), device=self.pseudo.device)
        h = vae.encoder(self.inputs())[k]
        z, _, log_weight = vae.posterior.draw(h, 1)
        s = torch.multinomial(log_weight.exp().T, 1).squeeze(1)  # [n], the stratum of each draw
        drawn = z[s, torch.arange(n, device=s.device)]
        return torch.lerp(vae.posterior.mean(h), drawn, temperature)
