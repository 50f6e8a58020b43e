"""Training objectives of flows: maximum likelihood on data, reverse KL divergence from an energy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import nn

from zoo import Batch, Bijection, Clock, Component, Event, Terms

if TYPE_CHECKING:
    from .flow import Flow
from pydantic import PositiveInt

from zoo import Energy, Part, component

from .numerics.data_dependence import learner_in


class Objective(Component, nn.Module, ABC):
    """Training objective of a flow, which is passed with each batch.

    ``transforms`` are those of the flow that is trained. ValueError if such a flow cannot be trained with it.
    """

    def __init__(self, event: Event, transforms: Bijection) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, flow: Flow, batch: Batch, clock: Clock) -> Terms:
        """The loss of a batch, and its unweighted terms."""


@component("max_likelihood")
class MaximumLikelihood(Objective):
    r"""Maximum likelihood: the mean negative log-likelihood of the data.

    .. math:: L = -\mathrm{E}_{x \sim p}[\log q(x)]

    Logs ``nll``, in nats.
    """

    def forward(self, flow: Flow, batch: Batch, clock: Clock) -> Terms:
        nll = -flow.log_prob(batch[flow.event.name], flow.given(batch))
        return Terms(nll.mean(), {"nll": nll})


FIRST = 0.01
"""The weight of the energy in the first step."""


@component("reverse_kl", example={"energy": "u1"})
class ReverseKL(Objective):
    r"""Reverse Kullback-Leibler divergence: the free energy of the flow, whose minimum is the density of an energy.

    .. math:: L = \mathrm{E}_{x \sim q}[\log q(x) + \beta_t U(x)], \qquad
       \beta_t = \min\Bigl(1, 0.01 + \frac{t}{t_w}\Bigr)

    where :math:`t` is the step. At :math:`\beta = 1` it is :math:`\mathrm{KL}(q \,\|\, \exp(-U) / Z) - \log Z`. The
    small weight at first keeps the flow from collapsing to one mode of several. Only the size of a batch is used: as
    many samples of the base go through the inverse of ``transforms``. Inverted layers such as ``{type: inverse_of, of:
    planar}`` are fast in this direction.

    The gradient flows through the samples, so the base must be a differentiable function of its noise:
    ``standard_normal``, ``normal`` or ``full_normal``; the weights of a mixture learn nothing.

    Logs ``free_energy`` = :math:`\log q + U`, ``energy`` = :math:`U` and ``log_q``, in nats.

    ValueError for data with levels, and for transforms with parts that learn from their forward pass (``act_norm``,
    ``batch_norm``), which training never runs.

    Args:
        energy: The energy :math:`U` whose density is learned.
        warmup: The steps :math:`t_w` over which the weight of the energy rises to one.

    References: Rezende and Mohamed, Variational inference with normalizing flows, 2015, arXiv:1505.05770, eq. 15 and
    20.
    """

    def __init__(
        self, event: Event, transforms: Bijection, *, energy: Part[Energy], warmup: PositiveInt = 10_000
    ) -> None:
        super().__init__(event, transforms)
        if event.levels is not None:
            raise ValueError(f"'{event.name}' has {event.levels} levels: an energy needs continuous data")
        learner = learner_in(transforms)
        if learner is not None:
            raise ValueError(f"{learner} learns from its forward pass, which this objective never runs")
        self.energy = energy(event.shape)
        self.warmup = warmup

    def forward(self, flow: Flow, batch: Batch, clock: Clock) -> Terms:
        c = flow.condition(flow.given(batch))
        z = flow.base.sample(batch[flow.event.name].shape[0], c)
        x, log_det = flow.transforms.inverse(z, c)
        log_q, energy = flow.base.log_prob(z, c) - log_det, self.energy(x)
        beta = (FIRST + clock.step / self.warmup).clamp(max=1.0)
        logs = {"free_energy": log_q + energy, "energy": energy, "log_q": log_q}
        return Terms((log_q + beta * energy).mean(), logs)
