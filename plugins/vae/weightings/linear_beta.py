"""Linear annealing of the weight on the divergence."""

from __future__ import annotations

from typing import Annotated

from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor

from zoo import NOT_A_SIZE, component

from .annealed import Annealed
from .span import Share, Span


@component("linear_beta")
class LinearBeta(Annealed):
    r"""A weight on a straight line from ``start`` to ``final``, where it stays.

    .. math:: \beta(t) = \beta_0 + (\beta_1 - \beta_0) \min(t / T, 1)

    in which :math:`T` is ``steps``, or a ``share`` of the horizon: all of it by default. ValueError for both.

    References: Sonderby et al., Ladder Variational Autoencoders, 2016, arXiv:1602.02282, sec. 2.3.

    >>> import torch
    >>> beta = LinearBeta(2, final=4.0, share=0.5)
    >>> [beta.beta(torch.tensor(step), 100).item() for step in (0.0, 25.0, 50.0, 75.0)]
    [0.0, 2.0, 4.0, 4.0]
    """

    def __init__(
        self,
        latent_size: int,
        *,
        start: NonNegativeFloat = 0.0,
        final: NonNegativeFloat = 1.0,
        steps: Annotated[PositiveInt, NOT_A_SIZE] | None = None,
        share: Share | None = None,
    ) -> None:
        super().__init__(latent_size)
        self.start, self.final, self.span = start, final, Span(steps, share)

    def beta(self, step: Tensor, horizon: int) -> Tensor:
        return self.start + (self.final - self.start) * self.span.passed(step, horizon).clamp(max=1.0)
