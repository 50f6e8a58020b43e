"""The kind of Markov chains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from zoo import Component, Event, sum_event

from ..gradients import EnergyFunction

if TYPE_CHECKING:
    from zoo.testing import Laws

Noise = tuple[Tensor, ...]
"""The randomness of one step, ``[B, ...]`` each."""


class Chain(Component, nn.Module, ABC):
    r"""Markov kernel :math:`x \to x'` that draws from :math:`p(x) \propto \exp(-U(x))`, run for some steps.

    A step is a function of the point and of its noise, row by row: a draw depends on its own noise alone. Points are
    floating point numbers; levels of data are evenly spaced on [-1, 1].

    ValueError for data that a chain cannot move on.

    Args:
        steps: The number of steps.
    """

    discrete: bool = False
    """Whether it moves between the levels of data; otherwise its points are any real numbers."""

    def __init__(self, event: Event, *, steps: PositiveInt = 50) -> None:
        super().__init__()
        self.event = event
        self.steps = steps

    @abstractmethod
    def noise(self, x: Tensor) -> Noise:
        """The randomness of a step from the points ``x``."""

    @abstractmethod
    def step(self, energy: EnergyFunction, x: Tensor, noise: Noise) -> Tensor:
        """The points after one step, ``[B, *shape]``."""

    @torch.no_grad()
    def forward(self, energy: EnergyFunction, x: Tensor, temperature: float = 1.0) -> Tensor:
        r"""The points after all steps, ``[B, *shape]``, without a graph; the density is
        :math:`\exp(-U / \mathrm{temperature})`.
        """
        u = energy if temperature == 1.0 else cooled(energy, temperature)
        for _ in range(self.steps):
            x = self.step(u, x, self.noise(x))
        return x

    @torch.no_grad()
    def states(self, energy: EnergyFunction, x: Tensor, temperature: float = 1.0) -> Iterator[Tensor]:
        """The points after each step, as `forward` takes them."""
        u = energy if temperature == 1.0 else cooled(energy, temperature)
        for _ in range(self.steps):
            x = self.step(u, x, self.noise(x))
            yield x

    def stationary_variance(self) -> float | None:
        r"""The variance that it settles at for :math:`U(x) = x^2 / 2`: 1 if it is exact; None where it is not known."""
        return 1.0

    @classmethod
    def laws(cls) -> Laws:
        from ..laws.chain import LAWS

        return LAWS


def cooled(energy: EnergyFunction, temperature: float) -> EnergyFunction:
    """The energy divided by a temperature.

    >>> cooled(lambda x: x.sum(1), 2.0)(torch.ones(1, 2))
    tensor([1.])
    """
    return lambda x: energy(x) / temperature


class Proposal(NamedTuple):
    """A proposed point with the momentum that leads back from it, and the logarithm of its acceptance ratio."""

    x: Tensor
    """``[B, *shape]``."""
    momentum: Tensor
    """``[B, *shape]``."""
    log_ratio: Tensor
    """``[B]``; the point is accepted with probability :math:`\\min(1, e^{\\mathrm{log\\_ratio}})`."""


class Metropolis(Chain):
    r"""Chain that accepts or rejects proposals, so that it leaves the density exactly as it is.

    A proposal maps the point and a normal momentum to others, :math:`(x, v) \to (y, w)`; the map is its own inverse and
    preserves volume, so that

    .. math:: \log r = U(x) + \tfrac12 \lVert v \rVert^2 - U(y) - \tfrac12 \lVert w \rVert^2

    and detailed balance is pointwise: :math:`p(x)\, \mathcal N(v) \min(1, r) = p(y)\, \mathcal N(w) \min(1, 1/r)`.
    """

    @abstractmethod
    def propose(self, energy: EnergyFunction, x: Tensor, v: Tensor) -> Proposal:
        """A proposal for each point, by its momentum."""

    def noise(self, x: Tensor) -> Noise:
        return torch.randn_like(x), torch.rand(x.shape[0], dtype=x.dtype, device=x.device)

    def step(self, energy: EnergyFunction, x: Tensor, noise: Noise) -> Tensor:
        v, uniform = noise
        y, _, log_ratio = self.propose(energy, x, v)
        accepted = uniform.log() < log_ratio  # [B]; a ratio that is NaN rejects
        return torch.where(accepted.view(-1, *[1] * (x.dim() - 1)), y, x)


def log_ratio(before: Tensor, v: Tensor, after: Tensor, w: Tensor) -> Tensor:
    """The acceptance ratio from the energies ``[B]`` and the momenta at both ends, ``[B]``."""
    return before + 0.5 * sum_event(v.square()) - after - 0.5 * sum_event(w.square())
