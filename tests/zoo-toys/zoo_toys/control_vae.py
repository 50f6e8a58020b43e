"""Variational autoencoder with a controlled KL term."""

from __future__ import annotations

import math

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from zoo import (
    Batch,
    Clock,
    Condition,
    Conditioner,
    Event,
    Model,
    Part,
    Samples,
    Scores,
    Shape,
    Terms,
    component,
    named,
    sum_event,
)

from .controller import Controller


@component("control_vae", example={"controller": {"type": "toys.pi", "target": 1.0}})
class ControlVAE(Model, Scores, Samples):
    r"""Variational autoencoder; a controller chooses the weight of its KL term after every step.

    .. math::
        L = -\mathbb E_{q(z|x)} \log p(x|z) + \beta_t\, \mathrm{KL}(q(z|x) \,\Vert\, p(z))

    with :math:`p(z) = \mathcal N(0, I)`, :math:`q(z|x)` normal with a diagonal covariance, and :math:`p(x|z)` normal
    with deviation :math:`\sigma`. The logged terms are unweighted, in nats. ``log_prob`` is the ELBO of one draw, a
    lower bound. ValueError if the data has levels.

    Args:
        controller: The controller of the weight :math:`\beta_t`.
        encoder: The network from data to the mean and the log-variance of the latent.
        decoder: The network from the latent to the mean of the data.
        latent: The size of the latent.
        sigma: The standard deviation of the data given the latent, :math:`\sigma`.

    References: Shao et al., ControlVAE: Controllable Variational Autoencoder, 2020, arXiv:2004.05988, eq. 4.

    >>> import zoo
    >>> node = {"controller": {"type": "toys.pi", "target": 1.0}}
    >>> vae = zoo.declare(Model, {"type": "toys.control_vae", **node})(Event("point", Shape(2)))
    >>> vae.log_prob(torch.zeros(3, 2)).shape, vae.sample(5).shape
    (torch.Size([3]), torch.Size([5, 2]))
    """

    exact = False

    def __init__(
        self,
        event: Event,
        *,
        controller: Part[Controller],
        encoder: Part[Conditioner] = named("mlp", width=64),
        decoder: Part[Conditioner] = named("mlp", width=64),
        latent: PositiveInt = 2,
        sigma: PositiveFloat = 0.2,
    ) -> None:
        super().__init__(event)
        if event.levels is not None:
            raise ValueError(f"'{event.name}' has {event.levels} levels: a normal likelihood needs continuous data")
        self.latent, self.sigma = latent, sigma
        self.encoder = encoder(event.shape, Shape(2 * latent))
        self.decoder = decoder(Shape(latent), event.shape)
        self.controller = controller()

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        reconstruction, kl = self.terms(batch[self.event.name])
        beta = self.controller(kl.mean())
        loss = reconstruction.mean() + beta * kl.mean()
        return Terms(loss, {"reconstruction": reconstruction, "kl": kl, "elbo": -reconstruction - kl, "beta": beta})

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        r""":math:`-\log p(x|z)` of one draw of :math:`z`, and the KL term, both ``[B]``."""
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        z = mu + (log_var / 2).exp() * torch.randn_like(mu)
        normal = ((x - self.decoder(z)) / self.sigma).square() + math.log(2 * math.pi * self.sigma**2)
        kl = (mu.square() + log_var.exp() - 1 - log_var) / 2
        return sum_event(normal / 2), sum_event(kl)

    def log_prob(self, x: Tensor, context: Condition | None = None) -> Tensor:
        reconstruction, kl = self.terms(x)
        return -reconstruction - kl

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        p = next(self.decoder.parameters())
        x: Tensor = self.decoder(temperature * torch.randn(n, self.latent, device=p.device, dtype=p.dtype))
        return x + temperature * self.sigma * torch.randn_like(x)
