"""Capacity that grows while training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from zoo import NOT_A_SIZE, Clock, LatentTerms, Weighting, component

from .span import Share, Span


@component("capacity")
class Capacity(Weighting):
    r"""The divergence is held at a capacity that grows linearly: too small a divergence costs as much as too large.

    .. math:: L = R + \gamma\, \bigl|\mathrm{KL} - C(t)\bigr|, \qquad C(t) = C_{max} \min(t / T, 1)

    of the batch's mean divergence, in nats. A nat off costs :math:`\gamma` = ``gamma``; :math:`C_{max}` is ``most``;
    :math:`T` is ``steps``, or a ``share`` of the horizon: all of it by default. ValueError for both. The paper's
    dSprites: ``gamma: 1000, most: 25, steps: 100000``.

    Gives the weights ``gamma`` and ``capacity``.

    References: Burgess et al., Understanding disentangling in beta-VAE, 2018, arXiv:1804.03599, eq. 8.

    >>> import torch
    >>> terms = LatentTerms(torch.tensor([3.0]), torch.tensor([2.0]), None, 4)
    >>> Capacity(2, gamma=10.0, most=10.0)(terms, Clock(torch.tensor(50), 100))[0]    # 3 + 10 |2 - 5|
    tensor(33.)
    """

    def __init__(
        self,
        latent_size: int,
        *,
        gamma: PositiveFloat = 1000.0,
        most: NonNegativeFloat = 25.0,
        steps: Annotated[PositiveInt, NOT_A_SIZE] | None = None,
        share: Share | None = None,
    ) -> None:
        super().__init__(latent_size)
        self.gamma, self.most, self.span = gamma, most, Span(steps, share)

    def forward(self, terms: LatentTerms, clock: Clock) -> tuple[Tensor, Mapping[str, Tensor]]:
        kl = terms.kl.mean()
        capacity = self.most * self.span.passed(clock.step.to(kl.dtype), clock.steps).clamp(max=1.0)
        loss = terms.nll.mean() + self.gamma * (kl - capacity).abs()
        return loss, {"gamma": kl.new_tensor(self.gamma), "capacity": capacity}
