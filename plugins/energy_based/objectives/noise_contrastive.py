"""Noise contrastive estimation."""

from __future__ import annotations

import math

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn
from torch.nn.functional import softplus

from zoo import Clock, Distribution, Energy, Event, Part, Terms, component, named

from .base import EnergyObjective


@component("nce")
class NoiseContrastive(EnergyObjective):
    r"""Noise contrastive estimation: the energy and its normalising constant, by a classifier of data and noise.

    .. math:: L = \mathrm E_{x \sim \mathrm{data}} \log(1 + e^{-G(x)}) + \nu\, \mathrm E_{x \sim q} \log(1 + e^{G(x)}),
       \qquad G(x) = -U(x) - c - \log q(x) - \log \nu

    whose minimum is :math:`e^{-U - c} = p_{\mathrm{data}}`, so that :math:`c` becomes :math:`\log Z`. The closer the
    noise is to the data, the more it teaches: while the energy learns, the noise :math:`q` learns by maximum likelihood
    of the same batches, without gradients between the two. A trained flow is ``{type: transformed, ...}``, its weights
    by ``init_from`` and ``train.freeze``.

    ValueError for data with levels.

    Logs ``nce``, the accuracy of that classifier, ``noise_nll`` in nats and ``log_z`` = :math:`c`.

    Args:
        noise: The distribution of the noise, :math:`q`.
        ratio: The number of noise points for each example, :math:`\nu`.

    References: Gutmann and Hyvarinen, Noise-contrastive estimation of unnormalized statistical models, 2012, eq. 8.
    """

    def __init__(
        self, event: Event, *, noise: Part[Distribution] = named("normal"), ratio: PositiveFloat = 1.0
    ) -> None:
        super().__init__(event)
        if event.levels is not None:
            raise ValueError(f"'{event.name}' has {event.levels} levels, but noise has a density")
        self.noise = noise(event.shape)
        self.ratio = ratio
        self.log_z = nn.Parameter(torch.zeros(()))

    def forward(self, energy: Energy, x: Tensor, clock: Clock) -> Terms:
        n = max(round(self.ratio * x.shape[0]), 1)
        log_q = self.noise.log_prob(x)
        with torch.no_grad():
            fake = self.noise.sample(n)
            log_q_fake = self.noise.log_prob(fake)
        u = energy(torch.cat([x, fake])) + self.log_z + math.log(self.ratio)
        real = -u[: len(x)] - log_q.detach()  # G
        noise = -u[len(x) :] - log_q_fake
        nce = softplus(-real).mean() + self.ratio * softplus(noise).mean()
        accuracy = 0.5 * ((real > 0).to(u.dtype).mean() + (noise < 0).to(u.dtype).mean())
        logs = {"nce": nce, "accuracy": accuracy, "noise_nll": -log_q, "log_z": self.log_z.detach()}
        return Terms(nce + self._learned(-log_q.mean()), logs)

    def _learned(self, nll: Tensor) -> Tensor:
        """The loss of the noise; a distribution without parameters has none."""
        return nll if nll.requires_grad else nll.new_zeros(())
