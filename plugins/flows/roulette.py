"""An unbiased estimate of the log-determinant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from zoo import component, sum_event

from .directions import Function, Noise, draw, pullback
from .log_det import LogDet
from .uncompiled import uncompiled


@component("roulette")
class Roulette(LogDet):
    r"""An unbiased estimate of the log-determinant: its power series, cut at random, along a random direction.

    .. math:: \log\det(I + J) = \mathbb{E}_{n, v}\Bigl[
       \sum_{k=1}^{n} \frac{(-1)^{k+1}}{k} \frac{v^\top J^k v}{\Pr(N \ge k)} \Bigr]

    The first ``terms`` are always taken, ``terms_in_evaluation`` outside of training, and as many more as tosses of a
    coin allow, each of which ends the series with probability ``stop``; one series for a batch. Each sample has a
    direction :math:`v` of its own, of ``rademacher`` ``noise``, signs, or ``normal`` numbers. The gradient is an
    estimate of its own, of the Neumann series, and keeps the graph of one derivative however long the series is:

    .. math:: \nabla \log\det(I + J) = \mathbb{E}_{n, v}\Bigl[
       \sum_{k=0}^{n} (-1)^k \frac{v^\top J^k}{\Pr(N \ge k)}\, (\nabla J)\, v \Bigr]

    As the number of terms is random, the graph cannot be compiled as one, and no program can be exported that scores.

    References: Chen et al., Residual Flows for Invertible Generative Modeling, 2019, arXiv:1906.02735, eq. 6 and 8;
    without the roulette: Behrmann et al., Invertible Residual Networks, 2019, arXiv:1811.00995, eq. 4.

    >>> import torch
    >>> estimate = Roulette(terms_in_evaluation=40).eval()    # of a multiple of the identity there is no noise
    >>> estimate(lambda x: 0.5 * x, torch.zeros(1, 2))[1].exp()
    tensor([2.2500])
    """

    exact = False

    def __init__(
        self,
        *,
        terms: PositiveInt = 2,
        terms_in_evaluation: PositiveInt = 20,
        stop: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        noise: Noise = "rademacher",
    ) -> None:
        super().__init__()
        self.terms, self.terms_in_evaluation = terms, terms_in_evaluation
        self.stop = stop
        self.noise: Noise = noise
        self._outside = uncompiled(Roulette._estimate)

    def forward(self, g: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        y, log_det = self._outside(self, g, x)
        return y, log_det

    def _estimate(self, g: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        v = draw(self.noise, x)
        value, w = self._series(g, x.detach(), v)
        y, pull = pullback(g, x)
        slope = sum_event(pull(w) * v)
        return y, value + (slope - slope.detach())

    @torch.no_grad()
    def _series(self, g: Function, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """The estimate, and what its gradient multiplies the derivative of J v by."""
        _, pull = pullback(g, x)
        value, w, power = x.new_zeros(x.shape[0]), v, v
        for k, weight in enumerate(self._weights(), 1):
            power = -pull(power)
            value = value - weight / k * sum_event(power * v)
            w = w + weight * power
        return value, w

    def _weights(self) -> Iterator[float]:
        """One over the probability that a term is taken, for those that are."""
        sure = self.terms if self.training else self.terms_in_evaluation
        # On the CPU whatever the model is on: only the number of terms depends on it.
        more = int(torch.empty((), dtype=torch.float64, device="cpu").geometric_(self.stop))
        for k in range(sure + more):
            yield (1.0 - self.stop) ** -max(k - sure, 0)
