"""Sigmoid annealing of the weight on the divergence."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from zoo import NOT_A_SIZE, component

from .annealed import Annealed
from .span import Share, Span


@component("sigmoid_beta")
class SigmoidBeta(Annealed):
    r"""A weight that goes from ``start`` to ``final`` along a sigmoid.

    .. math:: \beta(t) = \beta_0 + (\beta_1 - \beta_0)\, \sigma\bigl(a (t / T - \tfrac12)\bigr)

    in which :math:`a` is the ``steepness`` and :math:`T` is ``steps``, or a ``share`` of the horizon: all of it by
    default. ValueError for both. With a steepness of 12.5 the weight begins 0.2% of the way.

    References: Bowman et al., Generating Sentences from a Continuous Space, 2016, arXiv:1511.06349, sec. 3.1, which
    gives no steepness.

    >>> import torch
    >>> beta = SigmoidBeta(2, steps=100)
    >>> [round(beta.beta(torch.tensor(step), 1000).item(), 3) for step in (0.0, 50.0, 100.0)]
    [0.002, 0.5, 0.998]
    """

    def __init__(
        self,
        latent_size: int,
        *,
        start: NonNegativeFloat = 0.0,
        final: NonNegativeFloat = 1.0,
        steepness: PositiveFloat = 12.5,
        steps: Annotated[PositiveInt, NOT_A_SIZE] | None = None,
        share: Share | None = None,
    ) -> None:
        super().__init__(latent_size)
        self.start, self.final, self.steepness, self.span = start, final, steepness, Span(steps, share)

    def beta(self, step: Tensor, horizon: int) -> Tensor:
        risen = torch.sigmoid(self.steepness * (self.span.passed(step, horizon) - 0.5))
        return self.start + (self.final - self.start) * risen
