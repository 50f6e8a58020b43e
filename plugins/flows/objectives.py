"""Training objectives of flows: maximum likelihood on data, reverse KL divergence from an energy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal, cast

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from zoo import Batch, Bijection, Clock, Component, Energy, Event, Part, Terms, component, sum_event

from .bijections.chain import Chain
from .bijections.continuous import Continuous
from .numerics.data_dependence import learner_in

if TYPE_CHECKING:
    from .flow import Flow


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


@component("flow_matching")
class FlowMatching(Objective):
    r"""Flow matching: regression of a velocity on that of straight lines from data to latents.

    .. math:: L = \mathrm{E}_{t, x, z}\Bigl\| v(x_t, t) - \frac{z - x}{T} \Bigr\|^2, \qquad
       x_t = \Bigl(1 - \frac tT\Bigr) x + \frac tT z, \quad z \sim p_Z

    Its minimum is the mean velocity :math:`\mathrm{E}[z - x \mid x_t] / T`, whose flow carries the data to the base. No
    differential equation is solved in training: a step costs one evaluation of the network, where maximum likelihood
    takes several and their traces. The likelihood of the trained flow is computed as that of any other.

    The last of the ``transforms`` is ``continuous``, and those before it prepare the data: they get no gradient.
    ValueError for other transforms.

    Args:
        times: The distribution of :math:`t / T`: ``uniform``, or ``logit_normal``, :math:`\sigma(n - 0.6)` with
            :math:`n \sim \mathcal{N}(0, 1.2^2)`, which has more times near the data, where the velocity changes most.

    Logs ``matching``, the squared error summed over the event, with the weight of ``times`` in it.

    References: Lipman et al., Flow Matching for Generative Modeling, 2022, arXiv:2210.02747, eq. 9 and 23; the times:
    Esser et al., Scaling Rectified Flow Transformers, 2024, arXiv:2403.03206, sec. 3.1.
    """

    def __init__(
        self, event: Event, transforms: Bijection, *, times: Literal["uniform", "logit_normal"] = "logit_normal"
    ) -> None:
        super().__init__(event, transforms)
        steps = list(transforms.of) if isinstance(transforms, Chain) else [transforms]
        if not isinstance(steps[-1], Continuous) or any(isinstance(step, Continuous) for step in steps[:-1]):
            raise ValueError("flow matching trains one 'continuous' transform, the last of the list")
        self.times = times

    def forward(self, flow: Flow, batch: Batch, clock: Clock) -> Terms:
        *before, last = flow.transforms.of
        flowing = cast(Continuous, last)  # as checked when it was built
        c = flow.condition(flow.given(batch))
        x, _ = flow.continuous(batch[flow.event.name])
        with torch.no_grad():
            for step in before:
                x, _ = step(x, c)
            z = flow.base.sample(x.shape[0], c)
        s = self._times(x).reshape(-1, *[1] * (x.dim() - 1))  # [B, 1, ...], from 0 to 1
        v = flowing.velocity_at((1.0 - s) * x + s * z, s * flowing.time, c)
        error = sum_event((v - (z - x) / flowing.time).square())
        return Terms(error.mean(), {"matching": error})

    def _times(self, x: Tensor) -> Tensor:
        if self.times == "uniform":
            return torch.rand(x.shape[0], dtype=x.dtype, device=x.device)
        return torch.sigmoid(1.2 * torch.randn(x.shape[0], dtype=x.dtype, device=x.device) - 0.6)
