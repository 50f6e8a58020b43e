"""Modularity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from pydantic import Field, PositiveInt

from zoo import component

from .base import FactorMetric
from .common import Codes, Factors, Score, by_factor, varying
from .information import information_matrix


def modularity_score(codes: Codes, factors: Factors, bins: int = 20) -> Score:
    """The mean modularity of codes: how little information each has about factors other than its best one."""
    kept = varying(factors, least=2)
    squares = information_matrix(codes, factors[:, kept], bins) ** 2
    best = squares.max(axis=1)
    others = np.divide(squares.sum(axis=1) - best, best, out=np.full(len(best), len(kept) - 1.0), where=best > 0.0)
    each = 1.0 - others / (len(kept) - 1)
    mine = squares.argmax(axis=1)
    parts = [each[mine == factor].mean() if (mine == factor).any() else np.nan for factor in range(len(kept))]
    return Score(each.mean(), 1.0, by_factor(np.array(parts), kept, factors.shape[1]))


@component("modularity")
class Modularity(FactorMetric):
    r"""Modularity: whether each dimension of the code is informative about a single factor.

    .. math:: 1 - \frac1L \sum_l \frac{\sum_{k \ne k_l} I(z_l; v_k)^2}{(F - 1)\, I(z_l; v_{k_l})^2}, \qquad
       k_l = \arg\max_k I(z_l; v_k)

    by counting, with each dimension in intervals of equal width. Noise does not score zero: its counted information
    grows with the number of a factor's values, and it scores as a code of the largest factors. A constant dimension
    scores zero. The part of a factor is the mean over the dimensions for which it is the best; a factor without such
    dimensions has none. Factors that do not vary are ignored.

    Args:
        bins: The number of intervals.

    References: Ridgeway and Mozer, Learning deep disentangled embeddings with the F-statistic loss, 2018,
    arXiv:1802.05312, section 3; Locatello et al., 2019, arXiv:1811.12359.
    """

    least_factors = 2
    gives = ("modularity",)

    def __init__(self, *, examples: PositiveInt = 10_000, bins: Annotated[int, Field(ge=2)] = 20) -> None:
        super().__init__(examples)
        self.bins = bins

    def scores(self, codes: Codes, factors: Factors, rng: np.random.Generator) -> Mapping[str, Score]:
        return {"modularity": modularity_score(codes, factors, self.bins)}
