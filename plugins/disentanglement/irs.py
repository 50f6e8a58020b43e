"""Interventional robustness score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from zoo import component

from .base import FactorMetric
from .common import Codes, Factors, Score, by_factor, varying, weighted


def interventional_robustness(codes: Codes, factors: Factors, quantile: float = 0.99) -> Score:
    """The mean robustness of codes: how little each changes while its factor is fixed and the others vary."""
    kept = varying(factors)
    centred = codes - codes.mean(axis=0)
    reach = np.abs(centred).max(axis=0)
    live = reach > 0.0
    if not live.any():
        return Score(0.0, 1.0, by_factor(np.zeros(len(kept)), kept, factors.shape[1]))
    centred, reach = centred[:, live], reach[live]
    moved = np.stack([_deviation(centred, factors[:, factor], quantile) for factor in kept], axis=1)
    robust = 1.0 - moved / reach[:, None]
    best, parent = robust.max(axis=1), robust.argmax(axis=1)
    parts = [weighted(best, reach * (parent == factor)) for factor in range(len(kept))]
    return Score(weighted(best, reach), 1.0, by_factor(np.array(parts), kept, factors.shape[1]))


def _deviation(codes: Codes, values: NDArray[np.int64], quantile: float) -> NDArray[np.float64]:
    """The quantile of each code's distance from its mean given a value, averaged over the values: ``[L]``."""
    groups = [codes[values == value] for value in np.unique(values)]
    found = [np.quantile(np.abs(group - group.mean(axis=0)), quantile, axis=0) for group in groups]
    return np.asarray(np.mean(found, axis=0))


@component("irs")
class InterventionalRobustness(FactorMetric):
    r"""Interventional robustness score: whether a code is constant given its factor, whatever the other factors.

    .. math:: \mathrm{IRS} = \sum_l w_l \max_k \Bigl(1 - \frac{1}{\Delta_l V_k} \sum_v
       Q\bigl(|z_l - \mathrm E[z_l \mid v_k = v]| \bigm| v_k = v\bigr)\Bigr), \qquad
       w_l \propto \Delta_l = \max |z_l - \mathrm E z_l|

    with :math:`Q` a quantile within the examples of one value. A code of noise does not score zero, since its extremes
    are farther out than its quantiles. The part of a factor is the mean over the codes for which it is the best; a
    factor without such codes has none. Constant codes, and factors that do not vary, are ignored.

    Args:
        quantile: The quantile :math:`Q`; 1 is the maximum of the paper.

    References: Suter et al., Robustly disentangled causal mechanisms, 2019, arXiv:1811.00007; the quantile is
    that of disentanglement_lib (Locatello et al., 2019, arXiv:1811.12359).
    """

    gives = ("irs",)

    def __init__(
        self, *, examples: PositiveInt = 10_000, quantile: Annotated[float, Field(gt=0.0, le=1.0)] = 0.99
    ) -> None:
        super().__init__(examples)
        self.quantile = quantile

    def scores(self, codes: Codes, factors: Factors, rng: np.random.Generator) -> Mapping[str, Score]:
        return {"irs": interventional_robustness(codes, factors, self.quantile)}
