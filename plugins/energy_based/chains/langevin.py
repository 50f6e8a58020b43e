"""Langevin chains: unadjusted, with Metropolis' correction, and annealed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from zoo import Event, Part, component

from ..gradients import EnergyFunction, energy_and_gradient, gradient
from .base import Chain, Metropolis, Noise, Proposal, cooled, log_ratio


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] >= bounds[1]:
        raise ValueError(f"must be two increasing numbers, got {list(bounds)}")
    return bounds


Bounds = Annotated[tuple[float, float], AfterValidator(_ordered)]


@component("langevin")
class Langevin(Chain):
    r"""Unadjusted Langevin algorithm.

    .. math:: x' = x - h\, \nabla U(x) + s\, \epsilon, \qquad \epsilon \sim \mathcal N(0, I), \quad s = \sqrt{2h}

    As nothing corrects for the size of the step, it settles at another density: for :math:`U = x^2 / 2` at a normal of
    variance :math:`s^2 / (1 - (1 - h)^2) = 1 / (1 - h/2)`. Published image models take a large step and little noise,
    :math:`s \ll \sqrt{2h}`, which is a density at the temperature :math:`s^2 / 2h`.

    Args:
        steps: The number of steps.
        step: The size of a step, :math:`h`.
        noise: The standard deviation of the noise, :math:`s`; ``null`` for :math:`\sqrt{2h}`.
        clamp: Bounds that points are moved into after each step; ``null`` for none.
        clip: The largest absolute value of each number of the gradient; ``null`` for no limit.

    References: Roberts and Tweedie, Exponential convergence of Langevin distributions, 1996; Du and Mordatch, Implicit
    Generation and Modeling with Energy-Based Models, 2019, arXiv:1903.08689, eq. 1.

    >>> import torch, zoo
    >>> chain = zoo.declare(Chain, {"type": "langevin", "steps": 10, "step": 0.1})(zoo.Event("row", zoo.Shape(2)))
    >>> chain(lambda x: 0.5 * x.square().sum(1), torch.zeros(3, 2)).shape, chain.stationary_variance()
    (torch.Size([3, 2]), 1.0526315789473684)
    """

    def __init__(
        self,
        event: Event,
        *,
        steps: PositiveInt = 50,
        step: PositiveFloat = 0.01,
        noise: NonNegativeFloat | None = None,
        clamp: Bounds | None = None,
        clip: PositiveFloat | None = None,
    ) -> None:
        super().__init__(event, steps=steps)
        self.size = step
        self.deviation = math.sqrt(2.0 * step) if noise is None else noise
        self.clamp, self.clip = clamp, clip

    def noise(self, x: Tensor) -> Noise:
        return (torch.randn_like(x),)

    def step(self, energy: EnergyFunction, x: Tensor, noise: Noise) -> Tensor:
        slope = gradient(energy, x)
        if self.clip is not None:
            slope = slope.clamp(-self.clip, self.clip)
        x = x - self.size * slope + self.deviation * noise[0]
        return x if self.clamp is None else x.clamp(*self.clamp)

    def stationary_variance(self) -> float | None:
        if self.clamp is not None or self.clip is not None or self.size >= 2.0:
            return None
        return self.deviation**2 / (self.size * (2.0 - self.size))


@component("mala")
class MALA(Metropolis):
    r"""Metropolis-adjusted Langevin algorithm.

    .. math:: y = x - h\, \nabla U(x) + \sqrt{2h}\, v, \qquad w = \frac{x - y + h\, \nabla U(y)}{\sqrt{2h}}

    a proposal by Langevin's step, accepted with probability :math:`\min(1, r)`,

    .. math:: \log r = U(x) + \tfrac12 \lVert v \rVert^2 - U(y) - \tfrac12 \lVert w \rVert^2
       = \log \frac{p(y)\, q(x \mid y)}{p(x)\, q(y \mid x)}

    so that the density is that of the energy for any step. A step for which about .57 are accepted mixes fastest.

    Args:
        steps: The number of steps.
        step: The size of a step, :math:`h`.

    References: Besag, Comments on "Representations of knowledge in complex systems", 1994; Roberts and Rosenthal,
    Optimal scaling of discrete approximations to Langevin diffusions, 1998.

    >>> import torch, zoo
    >>> chain = zoo.declare(Chain, {"type": "mala", "steps": 10})(zoo.Event("row", zoo.Shape(2)))
    >>> chain(lambda x: 0.5 * x.square().sum(1), torch.zeros(3, 2)).shape
    torch.Size([3, 2])
    """

    def __init__(self, event: Event, *, steps: PositiveInt = 50, step: PositiveFloat = 0.05) -> None:
        super().__init__(event, steps=steps)
        self.size = step

    def propose(self, energy: EnergyFunction, x: Tensor, v: Tensor) -> Proposal:
        h, root = self.size, math.sqrt(2.0 * self.size)
        before, slope = energy_and_gradient(energy, x)
        y = x - h * slope + root * v
        after, slope = energy_and_gradient(energy, y)
        w = (x - y + h * slope) / root
        return Proposal(y, w, log_ratio(before, v, after, w))


@component("annealed", example={"of": {"type": "langevin", "steps": 2}})
class Annealed(Chain):
    r"""Another chain at falling temperatures, for densities with modes that are far apart.

    .. math:: p_k(x) \propto \exp(-U(x) / T_k), \qquad T_k = T^{1 - k/(K - 1)}, \quad k = 0, \dots, K - 1

    The last temperature is one, at which it is the other chain itself.

    Args:
        of: The chain, which takes its steps at each temperature.
        temperature: The first temperature, :math:`T`.
        levels: The number of temperatures, :math:`K`.

    References: Kirkpatrick et al., Optimization by simulated annealing, 1983; Neal, Annealed importance sampling, 2001,
    arXiv:physics/9803008.

    >>> import torch, zoo
    >>> chain = zoo.declare(Chain, {"type": "annealed", "of": "mala"})(zoo.Event("row", zoo.Shape(2)))
    >>> [round(t, 2) for t in chain.temperatures()]
    [10.0, 5.62, 3.16, 1.78, 1.0]
    """

    def __init__(
        self,
        event: Event,
        *,
        of: Part[Chain],
        temperature: Annotated[float, Field(gt=1)] = 10.0,
        levels: Annotated[int, Field(ge=2)] = 5,
    ) -> None:
        chain = of(event)
        super().__init__(event, steps=levels * chain.steps)
        self.of = chain
        self.discrete = chain.discrete
        self.temperature, self.levels = temperature, levels

    def temperatures(self) -> list[float]:
        """:math:`T_k`, the last one 1."""
        return [self.temperature ** (1.0 - k / (self.levels - 1)) for k in range(self.levels)]

    def noise(self, x: Tensor) -> Noise:
        return self.of.noise(x)

    def step(self, energy: EnergyFunction, x: Tensor, noise: Noise) -> Tensor:
        return self.of.step(energy, x, noise)

    @torch.no_grad()
    def forward(self, energy: EnergyFunction, x: Tensor, temperature: float = 1.0) -> Tensor:
        for hot in self.temperatures():
            x = self.of(cooled(energy, hot), x, temperature)
        return x

    @torch.no_grad()
    def states(self, energy: EnergyFunction, x: Tensor, temperature: float = 1.0) -> Iterator[Tensor]:
        for hot in self.temperatures():
            after = x
            for after in self.of.states(cooled(energy, hot), x, temperature):
                yield after
            x = after

    def stationary_variance(self) -> float | None:
        return self.of.stationary_variance()
