"""Hamiltonian Monte Carlo."""

from __future__ import annotations

from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from zoo import Event, component

from ..gradients import EnergyFunction, gradient
from .base import Metropolis, Proposal, log_ratio


@component("hmc", example={"steps": 5})
class HMC(Metropolis):
    r"""Hamiltonian Monte Carlo: a leapfrog trajectory from a new momentum, accepted or rejected as a whole.

    .. math:: v \leftarrow v - \tfrac\epsilon2 \nabla U(x), \qquad x \leftarrow x + \epsilon v, \qquad
       v \leftarrow v - \tfrac\epsilon2 \nabla U(x)

    some times in a row; the momentum is then reversed, :math:`w = -v`. The leapfrog is reversible and preserves volume;
    its energy error is :math:`O(\epsilon^2)`, which the acceptance corrects. A trajectory of half a period of some
    direction ends at the opposite point, and does not mix: choose another length.

    Args:
        steps: The number of trajectories.
        step: The size of a leapfrog step, :math:`\epsilon`.
        leapfrogs: The leapfrog steps of a trajectory.

    References: Duane et al., Hybrid Monte Carlo, 1987; Neal, MCMC using Hamiltonian dynamics, 2011, arXiv:1206.1901,
    sec. 2.3 and 3.2.

    >>> import torch, zoo
    >>> chain = HMC(zoo.Event("row", zoo.Shape(2)), steps=10)
    >>> chain(lambda x: 0.5 * x.square().sum(1), torch.zeros(3, 2)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self, event: Event, *, steps: PositiveInt = 20, step: PositiveFloat = 0.1, leapfrogs: PositiveInt = 10
    ) -> None:
        super().__init__(event, steps=steps)
        self.size, self.leapfrogs = step, leapfrogs

    def propose(self, energy: EnergyFunction, x: Tensor, v: Tensor) -> Proposal:
        y, w = self.leapfrog(energy, x, v)
        return Proposal(y, -w, log_ratio(energy(x), v, energy(y), w))

    def leapfrog(self, energy: EnergyFunction, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """The point and the momentum at the end of a trajectory."""
        v = v - 0.5 * self.size * gradient(energy, x)
        for last in (*[False] * (self.leapfrogs - 1), True):
            x = x + self.size * v
            v = v - (0.5 if last else 1.0) * self.size * gradient(energy, x)
        return x, v
