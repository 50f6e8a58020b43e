"""Mutual information gap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from pydantic import Field, PositiveInt

from zoo import component

from .base import FactorMetric
from .common import Codes, Factors, Score, by_factor, gaps, varying
from .information import binned, entropy, information_matrix


def mutual_information_gap(codes: Codes, factors: Factors, bins: int = 20) -> Score:
    """The gap of information about each factor between the best and the second best code, relative to its entropy."""
    kept = varying(factors)
    chosen = factors[:, kept]
    entropies = np.array([entropy(factor) for factor in chosen.T])
    each = gaps(information_matrix(codes, chosen, bins)) / entropies
    ceiling = np.array([entropy(factor) for factor in binned(chosen, bins).T]) / entropies
    parts, most = (by_factor(values, kept, factors.shape[1]) for values in (each, ceiling))
    return Score(each.mean(), ceiling.mean(), parts, most)


@component("mig")
class MutualInformationGap(FactorMetric):
    r"""Mutual information gap: whether one dimension of the code, and no second one, is informative about a factor.

    .. math:: \mathrm{MIG} = \frac1F \sum_k \frac{I(z_{l_k}; v_k) - \max_{l \ne l_k} I(z_l; v_k)}{H(v_k)}, \qquad
       l_k = \arg\max_l I(z_l; v_k)

    by counting, with each dimension of the code in intervals of equal width. Twenty bins cannot distinguish forty
    values: ``mig.max`` has the entropy of the binned factor in place of the gap, the score of the factor itself as the
    only informative code. Factors that do not vary are ignored.

    Args:
        bins: The number of intervals.

    References: Chen et al., Isolating sources of disentanglement in variational autoencoders, 2018, arXiv:1802.04942,
    section 4.1; the bins are those of Locatello et al., 2019, arXiv:1811.12359.
    """

    gives = ("mig",)

    def __init__(self, *, examples: PositiveInt = 10_000, bins: Annotated[int, Field(ge=2)] = 20) -> None:
        super().__init__(examples)
        self.bins = bins

    def scores(self, codes: Codes, factors: Factors, rng: np.random.Generator) -> Mapping[str, Score]:
        return {"mig": mutual_information_gap(codes, factors, self.bins)}
