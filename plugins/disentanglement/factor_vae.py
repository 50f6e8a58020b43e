"""FactorVAE score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from zoo import component, counted

from .base import FactorMetric
from .common import Alike, Codes, Factors, Score, by_factor, varying

COLLAPSED = 0.05
"""The standard deviation below which a dimension of the code is ignored."""
CHUNK = 1000


def factor_vae_score(
    codes: Codes, factors: Factors, rng: np.random.Generator, votes: int = 10_000, batch: int = 64
) -> Score:
    """The accuracy with which the dimension that varies least predicts the factor that was held fixed."""
    kept = varying(factors, least=2)
    codes = codes[:, codes.std(axis=0, ddof=1) >= COLLAPSED]
    most = min(codes.shape[1], len(kept)) / len(kept)
    if not codes.shape[1]:
        return Score(0.0, most, by_factor(np.zeros(len(kept)), kept, factors.shape[1]))
    standard = codes / codes.std(axis=0, ddof=1)
    alike = [Alike(factors[:, factor]) for factor in kept]
    majority = _votes(standard, alike, rng, votes, batch).argmax(axis=0)
    judged = _votes(standard, alike, rng, max(votes // 2, 1), batch)
    right = np.where(majority == np.arange(len(kept))[:, None], judged, 0)
    cast = judged.sum(axis=1)
    each = np.divide(right.sum(axis=1), cast, out=np.full(len(kept), np.nan), where=cast > 0)
    return Score(right.sum() / judged.sum(), most, by_factor(each, kept, factors.shape[1]))


def _votes(standard: Codes, alike: list[Alike], rng: np.random.Generator, votes: int, batch: int) -> NDArray[np.int64]:
    """The number of times that each dimension varied least while each factor was fixed: ``[F, L]``."""
    counts = np.zeros((len(alike), standard.shape[1]), dtype=np.int64)
    fixed = rng.integers(len(alike), size=votes)
    for start in counted(range(0, votes, CHUNK), -(-votes // CHUNK)):
        for factor, rows in enumerate(alike):
            n = int((fixed[start : start + CHUNK] == factor).sum())
            first = rng.integers(len(standard), size=(n, 1))
            variance = standard[rows.draw(np.repeat(first, batch, axis=1), rng)].var(axis=1)
            counts[factor] += np.bincount(variance.argmin(axis=1), minlength=standard.shape[1])
    return counts


@component("factor_vae_score")
class FactorVAEScore(FactorMetric):
    r"""FactorVAE score: whether the dimension that varies least identifies the factor that was held fixed.

    For each vote one factor :math:`k` is chosen, and examples that share a value of it; they vote for

    .. math:: d = \arg\min_l \frac{\mathrm{Var}_b\, z_{bl}}{\mathrm{Var}\, z_l}

    Each dimension is assigned the factor of most of its votes, and the score is the accuracy of this assignment on half
    as many new votes. Chance is one over the number of factors :math:`F`. A dimension has one factor only: the largest
    score of :math:`L` dimensions is :math:`\min(L, F) / F`. Dimensions with a standard deviation below 0.05, and
    factors that do not vary, are ignored.

    Args:
        votes: The number of votes for the assignment.
        batch: The number of examples of a vote.

    References: Kim and Mnih, Disentangling by factorising, 2018, arXiv:1802.05983, section 4.
    """

    least_factors = 2
    gives = ("factor_vae_score",)

    def __init__(
        self,
        *,
        examples: PositiveInt = 10_000,
        votes: PositiveInt = 10_000,
        batch: Annotated[int, Field(ge=2)] = 64,
    ) -> None:
        super().__init__(examples)
        self.votes = votes
        self.batch = batch

    def scores(self, codes: Codes, factors: Factors, rng: np.random.Generator) -> Mapping[str, Score]:
        return {"factor_vae_score": factor_vae_score(codes, factors, rng, self.votes, self.batch)}
