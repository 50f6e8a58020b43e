"""Score matching: exact, sliced and denoising."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from zoo import Clock, Energy, Event, Terms, component, sum_event

from ..gradients import gradient, hessian_product, laplacian
from .base import EnergyObjective


@component("score_matching")
class ScoreMatching(EnergyObjective):
    r"""Score matching, with the exact trace of the Hessian.

    .. math:: L = \mathrm E_{x \sim \mathrm{data}} \Bigl[\tfrac12 \lVert \nabla U(x) \rVert^2
       - \operatorname{tr} \nabla^2 U(x)\Bigr]

    It equals :math:`\tfrac12 \mathrm E \lVert \nabla U + \nabla \log p_{\mathrm{data}} \rVert^2` but for a constant,
    and needs neither chains nor the normalising constant. The trace costs one more gradient for each number of an
    event: it is for few numbers, and ``sliced_score_matching`` for many. ValueError for data with levels, which has no
    score.

    Logs ``score_matching``, which is negative for a model that fits, and ``squared_score`` =
    :math:`\lVert \nabla U \rVert^2`.

    References: Hyvarinen, Estimation of non-normalized statistical models by score matching, 2005, eq. 4.
    """

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        if event.levels is not None:
            raise ValueError(f"'{event.name}' has {event.levels} levels: use 'denoising_score_matching'")

    def forward(self, energy: Energy, x: Tensor, clock: Clock) -> Terms:
        slope, trace = laplacian(energy, x)
        squared = sum_event(slope.square())
        loss = 0.5 * squared - trace
        return Terms(loss.mean(), {"score_matching": loss, "squared_score": squared})


@component("sliced_score_matching")
class SlicedScoreMatching(EnergyObjective):
    r"""Sliced score matching: the trace of the Hessian by random directions.

    .. math:: L = \mathrm E_{x \sim \mathrm{data},\, v} \Bigl[\tfrac12 \lVert \nabla U(x) \rVert^2
       - v^\top \nabla^2 U(x)\, v\Bigr], \qquad \mathrm E\, v v^\top = I

    Its mean over directions is the loss of ``score_matching``. ValueError for data with levels.

    Logs ``score_matching`` and ``squared_score``, as there.

    Args:
        directions: The number of directions of each example.
        probes: Their distribution: signs (``rademacher``) have less variance than normals.

    References: Song et al., Sliced Score Matching, 2019, arXiv:1905.07088, eq. 8 (with the variance reduced).
    """

    def __init__(
        self,
        event: Event,
        *,
        directions: PositiveInt = 1,
        probes: Literal["rademacher", "normal"] = "rademacher",
    ) -> None:
        super().__init__(event)
        if event.levels is not None:
            raise ValueError(f"'{event.name}' has {event.levels} levels: use 'denoising_score_matching'")
        self.directions = directions
        self.probes: Literal["rademacher", "normal"] = probes

    def forward(self, energy: Energy, x: Tensor, clock: Clock) -> Terms:
        trace = x.new_zeros(x.shape[0])
        slope = x
        for _ in range(self.directions):
            v = torch.randn_like(x)
            v = v.sign() if self.probes == "rademacher" else v
            slope, product = hessian_product(energy, x, v)
            trace = trace + sum_event(v * product) / self.directions
        squared = sum_event(slope.square())
        loss = 0.5 * squared - trace
        return Terms(loss.mean(), {"score_matching": loss, "squared_score": squared})


@component("denoising_score_matching")
class DenoisingScoreMatching(EnergyObjective):
    r"""Denoising score matching: the score of data with noise points back to the data.

    .. math:: L = \mathrm E_{x,\, \epsilon}\, \tfrac12 \bigl\lVert \sigma \nabla U(x + \sigma \epsilon) - \epsilon
       \bigr\rVert^2, \qquad \epsilon \sim \mathcal N(0, I)

    It takes one gradient. The density that it learns is that of the noisy data: for normal data of covariance
    :math:`S` the precision :math:`(S + \sigma^2 I)^{-1}`.

    Logs ``denoising``.

    Args:
        sigma: The standard deviation of the noise, :math:`\sigma`.

    References: Vincent, A connection between score matching and denoising autoencoders, 2011, eq. 4 and 5.
    """

    def __init__(self, event: Event, *, sigma: PositiveFloat = 0.1) -> None:
        super().__init__(event)
        self.sigma = sigma

    def forward(self, energy: Energy, x: Tensor, clock: Clock) -> Terms:
        epsilon = torch.randn_like(x)
        loss = 0.5 * sum_event((self.sigma * gradient(energy, x + self.sigma * epsilon) - epsilon).square())
        return Terms(loss.mean(), {"denoising": loss})

    def optimum(self, covariance: Tensor) -> Tensor | None:
        return (covariance + self.sigma**2 * torch.eye(len(covariance), dtype=covariance.dtype)).inverse()
