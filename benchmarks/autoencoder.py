"""A variational autoencoder, as the benchmarks see it, and the one measure of all of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

import zoo
from zoo.engine.distributed import Alone
from zoo.engine.runtime import Choices, Runtime

EAGER = Choices("cpu", "fp32", compile=False, channels_last=False)


@dataclass(frozen=True)
class Autoencoder:
    """Of binary images, with a normal posterior of independent numbers and a standard normal prior.

    ``encoder`` answers ``[B, 2 L]``, means and logarithms of variances; ``decoder`` answers logits. ``loss`` is what a
    step minimises, of images ``[B, *shape]`` of the type ``takes``, which its library hands to a model.
    """

    module: nn.Module
    encoder: nn.Module
    decoder: nn.Module
    loss: Callable[[Tensor], Tensor]
    takes: torch.dtype = torch.float32

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.module.parameters())

    @torch.no_grad()
    def start_like(self, other: Autoencoder) -> None:
        """Take another's weights."""
        for mine, given in zip(self.nets.parameters(), other.nets.parameters(), strict=True):
            mine.copy_(given)

    @property
    def nets(self) -> nn.ModuleList:
        """Both networks, in the same order in every library."""
        return nn.ModuleList([self.encoder, self.decoder])


def declared_vae(event: zoo.Event, choices: Choices = EAGER, **parts: object) -> Autoencoder:
    """A model of zoo with these parts, behind the call that its trainer makes of it."""
    declared = zoo.declare(zoo.Model, {"type": "vae", "likelihood": "bernoulli", **parts})(event)
    runtime = Runtime(declared, choices, Alone())
    runtime.distribute()
    model, clock = runtime.model, zoo.Clock(torch.zeros((), dtype=torch.int64), steps=1000)

    def loss(x: Tensor) -> Tensor:
        return runtime.forward({event.name: x}, clock).loss

    return Autoencoder(model, model.get_submodule("encoder"), model.get_submodule("decoder"), loss, torch.uint8)


class Bounds(NamedTuple):
    """Means over images, in nats: both sides of the negative ELBO, and the importance-weighted estimate of -log p."""

    nll: float
    kl: float
    iwae: float


@torch.no_grad()
def bounds(autoencoder: Autoencoder, images: Tensor, draws: int, *, chunk: int = 50) -> Bounds:
    r"""The bounds of binary images ``[N, *shape]``, by the same ``draws`` of noise for whichever model.

    .. math:: -\log p(x) \le -\log \tfrac1K \sum_k \frac{p(x \mid z_k)\, p(z_k)}{q(z_k \mid x)}

    with the closed form of the divergence. References: Burda et al., 2016, arXiv:1509.00519, eq. 8.
    """
    noise = torch.Generator().manual_seed(0)
    sums = torch.zeros(3, dtype=torch.float64)
    for x in torch.split(images.float(), chunk):
        mu, log_var = autoencoder.encoder(x).chunk(2, 1)
        epsilon = torch.randn(draws, *mu.shape, generator=noise)
        z = mu + (0.5 * log_var).exp() * epsilon
        logits = autoencoder.decoder(z.flatten(0, 1)).reshape(draws, *x.shape)
        nll = binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").flatten(2).sum(2)
        log_ratio = 0.5 * (epsilon.square() + log_var - z.square()).sum(2)  # log p(z) - log q(z | x)
        kl = 0.5 * (mu.square() + log_var.exp() - 1.0 - log_var).sum(1)
        iwae = math.log(draws) - torch.logsumexp(log_ratio - nll, 0)
        sums += torch.stack([nll.mean(0).sum(), kl.sum(), iwae.sum()]).double()
    nll_mean, kl_mean, iwae_mean = (sums / len(images)).tolist()
    return Bounds(nll_mean, kl_mean, iwae_mean)
