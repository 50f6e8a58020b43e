"""Weights on the divergence that follow a schedule."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor

from zoo import Clock, LatentTerms, Weighting


class Annealed(Weighting):
    r"""A weight on the divergence that is a function of the step: :math:`L = R + \beta(t)\, \mathrm{KL}`."""

    @abstractmethod
    def beta(self, step: Tensor, horizon: int) -> Tensor:
        """The weight in the step of this number, counted from 0: a scalar of the precision of ``step``."""

    def forward(self, terms: LatentTerms, clock: Clock) -> tuple[Tensor, Mapping[str, Tensor]]:
        beta = self.beta(clock.step.to(terms.kl.dtype), clock.steps)
        return (terms.nll + beta * terms.kl).mean(), {"beta": beta}
