"""Starts of the chains of training: data, noise, or where the chains of earlier steps ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, NamedTuple

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from zoo import Component, Event, TrainingState, component

from .scale import noise_of

if TYPE_CHECKING:
    from zoo.testing import Laws


class Started(NamedTuple):
    """Points that chains start from, and where in a buffer they are stored."""

    x: Tensor
    rows: Tensor | None = None


class Start(Component, nn.Module, ABC):
    """Start of the chains of a training step, as many as there are data."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event

    @abstractmethod
    def forward(self, x: Tensor) -> Started:
        """Points to start from, ``[B, *shape]``, for a batch of data of that shape."""

    def store(self, started: Started, x: Tensor) -> None:
        """Take the ends of the chains, ``[B, *shape]``; a hook for starts with a memory."""

    @classmethod
    def laws(cls) -> Laws:
        from .laws.start import LAWS

        return LAWS


@component("from_data")
class FromData(Start):
    r"""Chains that start from the data of the batch: contrastive divergence, CD-k for k steps.

    References: Hinton, Training products of experts by minimizing contrastive divergence, 2002.
    """

    def forward(self, x: Tensor) -> Started:
        return Started(x)


@component("from_noise")
class FromNoise(Start):
    r"""Chains that start from noise: uniform on [-1, 1] for data with levels, otherwise normal.

    Args:
        spread: The standard deviation of normal noise.

    References: Nijkamp et al., Learning Non-Convergent Non-Persistent Short-Run MCMC, 2019, arXiv:1904.09770.
    """

    def __init__(self, event: Event, *, spread: PositiveFloat = 2.0) -> None:
        super().__init__(event)
        self.spread = spread

    def forward(self, x: Tensor) -> Started:
        return Started(noise_of(self.event, x.shape[0], self.spread, x))


@component("persistent", example={"size": 16})
class Persistent(Start, TrainingState):
    r"""Chains that continue where those of earlier steps ended, from a buffer; a share of them starts from noise.

    The buffer is part of a checkpoint, but not of the share file; each process has its own. Noise is uniform on [-1, 1]
    for data with levels, otherwise normal.

    Args:
        size: The number of chains in the buffer; of a larger batch the others start from noise.
        fresh: The probability with which a chain starts from noise again.
        spread: The standard deviation of normal noise.

    References: Tieleman, Training restricted Boltzmann machines using approximations to the likelihood gradient, 2008;
    Du and Mordatch, Implicit Generation and Modeling with Energy-Based Models, 2019, arXiv:1903.08689, sec. 3.2.

    >>> import torch, zoo
    >>> start = zoo.declare(Start, {"type": "persistent", "size": 100})(zoo.Event("row", zoo.Shape(2)))
    >>> started = start(torch.zeros(5, 2))
    >>> start.store(started, torch.ones(5, 2))
    >>> int((start.chains == 1).all(1).sum())
    5
    """

    chains: Tensor

    def __init__(
        self,
        event: Event,
        *,
        size: PositiveInt = 10_000,
        fresh: Annotated[float, Field(ge=0, le=1)] = 0.05,
        spread: PositiveFloat = 2.0,
    ) -> None:
        super().__init__(event)
        self.size, self.fresh, self.spread = size, fresh, spread
        self.register_training_state("chains", lambda: noise_of(event, size, spread, torch.zeros(())))

    def forward(self, x: Tensor) -> Started:
        noise = noise_of(self.event, x.shape[0], self.spread, x)
        if not self.training:
            return Started(noise)
        rows = torch.randperm(self.size, device=x.device)[: x.shape[0]]
        renewed = torch.rand(len(rows), device=x.device) < self.fresh
        renewed = renewed.view(-1, *[1] * (x.dim() - 1))
        chains = torch.where(renewed, noise[: len(rows)], self.chains[rows].to(x.dtype))
        return Started(torch.cat([chains, noise[len(rows) :]]), rows)

    @torch.no_grad()
    def store(self, started: Started, x: Tensor) -> None:
        if started.rows is not None:
            self.chains.index_copy_(0, started.rows, x[: len(started.rows)].to(self.chains.dtype))
