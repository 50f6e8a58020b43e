"""Contrastive divergence."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from zoo import AfterStep, Clock, Diverged, Energy, Event, Part, Terms, component, mean_over_processes, named

from ..chains.base import Chain
from ..starts import FromData, Start
from .base import EnergyObjective

CHECKED_EVERY = 50
"""Steps between two looks at the gap on a GPU, where each look waits for the device."""
ADVICE = (
    "The chains no longer follow the energy. Try a lower learning rate, more steps of the chain or smaller ones, a "
    "larger objective.l2, or train.clip; resume from the last checkpoint with --resume"
)


class GapTooLarge(Diverged):
    """The energies of data and of chains are so far apart that training will not recover."""

    def __init__(self, step: int, gap: float, largest: float) -> None:
        super().__init__(step, ["gap"])
        self.args = (
            f"training diverged at step {step}: the energies of data and of chains are {gap:.4g} nats apart, more than "
            f"{largest:g}, the 'largest_gap' of the objective. {ADVICE}",
        )

    def since(self, first: str, advice: str | None = None) -> Diverged:
        return self


@component("contrastive_divergence", example={"chain": {"type": "mala", "steps": 2}, "start": "from_data"})
class ContrastiveDivergence(EnergyObjective, AfterStep):
    r"""Contrastive divergence: data gets a lower energy, the ends of Markov chains a higher one.

    .. math:: L = \mathrm E_{x \sim \mathrm{data}}\, U(x) - \mathrm E_{x \sim \mathrm{chains}}\, U(x)
       + \lambda \bigl(\mathrm E_{\mathrm{data}}\, U^2 + \mathrm E_{\mathrm{chains}}\, U^2\bigr)

    Where the chains have reached the density of the energy, the gradient of the first two terms is that of the negative
    log-likelihood. The start of the chains gives the method its name: ``from_data`` for CD-k, ``persistent`` for PCD,
    ``from_noise`` for short runs.

    Both energies should stay close to each other. Training that has come apart does not recover, but the loss stays
    finite for long: with ``largest_gap`` it stops with exit code 3 as soon as their means are further apart.

    Logs ``data_energy``, ``chain_energy`` and ``gap``, their difference.

    Args:
        chain: The Markov chain.
        start: The start of the chains.
        l2: The weight :math:`\lambda` of the squared energies, which ties them to zero.
        largest_gap: The largest distance of the two mean energies, in nats; ``null`` for no limit.

    References: Hinton, Training products of experts by minimizing contrastive divergence, 2002; Tieleman, Training
    restricted Boltzmann machines using approximations to the likelihood gradient, 2008; Du and Mordatch, 2019,
    arXiv:1903.08689, eq. 2 and 4.
    """

    gap: Tensor

    def __init__(
        self,
        event: Event,
        *,
        chain: Part[Chain] = named("langevin"),
        start: Part[Start] = named("persistent"),
        l2: NonNegativeFloat = 0.0,
        largest_gap: PositiveFloat | None = 1000.0,
    ) -> None:
        super().__init__(event)
        self.chain = chain(event)
        self.start = start(event)
        self.l2, self.largest_gap = l2, largest_gap
        self.register_buffer("gap", torch.zeros(()), persistent=False)
        self._steps = 0

    def forward(self, energy: Energy, x: Tensor, clock: Clock) -> Terms:
        started = self.start(x)
        fake = self.chain(energy, started.x)
        self.start.store(started, fake)
        data, chains = self._energies(energy, (x, fake))
        gap = data.mean() - chains.mean()
        if self.training:
            self.gap.copy_(gap.detach())
        loss = gap + self.l2 * (data.square().mean() + chains.square().mean()) if self.l2 else gap
        return Terms(loss, {"data_energy": data, "chain_energy": chains, "gap": gap})

    def _energies(self, energy: Energy, both: Sequence[Tensor]) -> Sequence[Tensor]:
        """The energies of data and chains, in one pass."""
        u: Tensor = energy(torch.cat([*both]))
        return u.chunk(2)

    def after_step(self, clock: Clock) -> None:
        if self.largest_gap is None or self.gap.is_meta:
            return
        self._steps += 1
        if self.gap.is_cuda and self._steps % CHECKED_EVERY:
            return
        gap = mean_over_processes(self.gap).item()
        if math.isfinite(gap) and abs(gap) > self.largest_gap:
            raise GapTooLarge(int(clock.step), abs(gap), self.largest_gap)

    def optimum(self, covariance: Tensor) -> Tensor | None:
        # At that precision an exact chain that starts from data only moves it about.
        exact = self.chain.stationary_variance() == 1.0 and isinstance(self.start, FromData)
        return super().optimum(covariance) if exact else None
