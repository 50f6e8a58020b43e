"""Energy-based models."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from zoo import (
    Batch,
    Clock,
    Condition,
    Energy,
    Event,
    Model,
    Part,
    Sampler,
    Samples,
    Terms,
    Traces,
    Unnormalised,
    component,
    named,
)

from ..shared.events import evenly
from .chains.base import Chain
from .objectives.base import EnergyObjective
from .scale import as_data, noise_of, signed


class ChainModel(Model, Unnormalised, Samples, Traces, ABC):
    """Base of models with an energy that Markov chains draw from; a subclass sets the energy, ``U``."""

    U: nn.Module
    like: Tensor

    def __init__(
        self,
        event: Event,
        objective: Callable[[Event], EnergyObjective],
        chain: Callable[[Event], Chain],
        spread: float,
        smoothing: float,
    ) -> None:
        super().__init__(event)
        self.objective = objective(event)
        self.chain = chain(event)
        self.spread, self.smoothing = spread, smoothing
        # Data is rounded to the dtype of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def noisy(self, batch: Batch) -> Tensor:
        """The data of a batch as the energy sees it, in training with noise, ``[B, *shape]``."""
        x = signed(batch[self.event.name], self.event, self.like)
        return x + self.smoothing * torch.randn_like(x) if self.smoothing and self.training else x

    def energy(self, x: Tensor, context: Condition | None = None) -> Tensor:
        u: Tensor = self.U(signed(x, self.event, self.like))
        return u

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        return self.draw(self.chain, n, temperature)

    @torch.no_grad()
    def trace(self, n: int, frames: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        x = noise_of(self.event, n, self.spread, self.like)
        states = [x, *self.chain.states(self.U, x, temperature)]
        shown = [as_data(states[i], self.event) for i in evenly(len(states), frames)]
        return torch.stack([self.event.unit(x, self.like.dtype) for x in shown])

    def draw(self, chain: Chain, n: int, temperature: float) -> Tensor:
        """Draws by a chain, ``[n, *shape]``."""
        x = noise_of(self.event, n, self.spread, self.like)
        return as_data(chain(self.U, x, temperature), self.event)


@component("energy_based")
class EnergyBased(ChainModel):
    r"""Energy-based model: a density up to a constant, drawn from by a Markov chain.

    .. math:: p(x) = \frac{\exp(-U(x))}{Z}

    Data with levels is seen as numbers on [-1, 1], and the energy is of those numbers; draws become the nearest level.
    The normalising constant is not computed: for one or two numbers the metric ``nll_grid`` does. A draw is a function
    of its own noise: it does not depend on the other draws.

    Args:
        energy: The energy :math:`U`.
        objective: The training objective.
        chain: The Markov chain of draws.
        spread: The standard deviation of the normal noise that the chains of draws start from; data with levels starts
            from uniform noise.
        smoothing: The standard deviation of noise that is added to the data in training, which smooths the density.

    References: LeCun et al., A Tutorial on Energy-Based Learning, 2006; Song and Kingma, How to Train Your Energy-Based
    Models, 2021, arXiv:2101.03288.

    Shapes: data ``[B, *event.shape]``; ``energy`` ``[B]``, in nats.

    >>> import torch, zoo
    >>> node = {"type": "energy_based", "energy": "quadratic", "objective": "score_matching"}
    >>> model = zoo.declare(zoo.Model, node)(zoo.Event("point", zoo.Shape(2)))
    >>> model.sample(3).shape, model.energy(torch.ones(1, 2)).item()
    (torch.Size([3, 2]), 1.0)
    """

    def __init__(
        self,
        event: Event,
        *,
        energy: Part[Energy] = named("network"),
        objective: Part[EnergyObjective] = named("contrastive_divergence"),
        chain: Part[Chain] = named("mala"),
        spread: PositiveFloat = 2.0,
        smoothing: NonNegativeFloat = 0.0,
    ) -> None:
        super().__init__(event, objective, chain, spread, smoothing)
        self.U = energy(event.shape)

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        terms: Terms = self.objective(self.U, self.noisy(batch), clock)
        return terms


@component("markov_chain")
class MarkovChain(Sampler):
    """Draws from an energy-based model by another Markov chain than its own; ValueError for other models.

    Args:
        chain: The Markov chain.
    """

    def __init__(self, model: Model, *, chain: Part[Chain] = named("mala")) -> None:
        super().__init__(model)
        if not isinstance(model, ChainModel):
            raise ValueError("needs an energy-based model")
        self.energy_based = model
        self.chain = chain(model.event)

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        return self.energy_based.draw(self.chain, n, temperature)
