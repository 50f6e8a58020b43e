"""Disentanglement, completeness and informativeness."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from zoo import component, counted

from .base import FactorMetric
from .common import Codes, Factors, Score, Split, by_factor, split, weighted


class DCI(NamedTuple):
    """The three scores."""

    disentanglement: Score
    completeness: Score
    informativeness: Score


def dci_scores(codes: Codes, factors: Factors, rng: np.random.Generator, trees: int = 100) -> DCI:
    """The three scores, by boosted trees that predict each factor."""
    rows = split(codes, factors, rng, least=2)
    fitted = [_fit(rows, factor, trees, rng) for factor in counted(rows.kept, len(rows.kept))]
    importance = np.stack([found for found, _ in fitted], axis=1)
    accuracy = np.array([right for _, right in fitted])
    if not importance.any():  # no tree found anything to split: all codes matter alike
        importance = np.ones_like(importance)
    apart, whole = disentanglement(importance), completeness(importance)
    scores = (
        Score(value, 1.0, by_factor(each, rows.kept, factors.shape[1]))
        for value, each in (apart, whole, (accuracy.mean(), accuracy))
    )
    return DCI(*scores)


def disentanglement(importance: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """From importances ``[L, F]``: how much each code matters to a single factor; in total, and for each factor."""
    alone = _concentration(importance.T)
    return weighted(alone, importance.sum(axis=1)), np.array([weighted(alone, factor) for factor in importance.T])


def completeness(importance: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """From importances ``[L, F]``: how much a single code matters to each factor; in total, and for each factor."""
    alone = _concentration(importance)
    return weighted(alone, importance.sum(axis=0)), alone


def _fit(rows: Split, factor: int, trees: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], float]:
    """The importance of each code for one factor, and the held-out accuracy."""
    ensemble = import_module("sklearn.ensemble").GradientBoostingClassifier(
        n_estimators=trees, random_state=int(rng.integers(2**31))
    )
    ensemble.fit(rows.codes, rows.factors[:, factor])
    right = ensemble.predict(rows.test_codes) == rows.test_factors[:, factor]
    return np.abs(ensemble.feature_importances_), float(right.mean())


def _concentration(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """One minus the normalised entropy of each column: ``[n, m] -> [m]``; zero for a column of zeros.

    >>> _concentration(np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])).round(6).tolist()
    [1.0, 0.0, 0.0]
    """
    total = weights.sum(axis=0)
    if len(weights) == 1:
        return np.asarray(total > 0.0, dtype=np.float64)
    shares = np.where(total > 0.0, weights / np.where(total > 0.0, total, 1.0), 1.0 / len(weights))
    logs = np.log(np.where(shares > 0.0, shares, 1.0))
    found: NDArray[np.float64] = 1.0 + (shares * logs).sum(axis=0) / np.log(len(weights))
    return found


@component("dci")
class DisentanglementCompletenessInformativeness(FactorMetric):
    r"""Disentanglement, completeness and informativeness, from the importance of each code for the prediction of
    factors.

    .. math:: D = \sum_l \rho_l \bigl(1 - H_F(R_{l \cdot})\bigr), \qquad
       C = \sum_k \rho_k \bigl(1 - H_L(R_{\cdot k})\bigr)

    of the importances :math:`R_{lk}` of :math:`L` dimensions for boosted trees that predict :math:`F` factors: the
    entropies of normalised rows and columns, to the base of their length, weighted by :math:`\rho`, the sums of rows
    and columns. Informativeness is the held-out accuracy. Two thirds of the examples are trained on.

    A factor of forty values takes forty ensembles: 10,000 examples, as in the studies, take several minutes and give
    more precise scores, especially informativeness. Factors that do not vary are ignored.

    Args:
        examples: The largest number of examples, two thirds of which are trained on.
        trees: The number of boosted trees of an ensemble.

    References: Eastwood and Williams, A framework for the quantitative evaluation of disentangled representations,
    2018, section 2; Locatello et al., 2019, arXiv:1811.12359.
    """

    least_factors = 2
    gives = ("dci_disentanglement", "dci_completeness", "dci_informativeness")

    def __init__(self, *, examples: PositiveInt = 1000, trees: PositiveInt = 100) -> None:
        super().__init__(examples)
        self.trees = trees

    def scores(self, codes: Codes, factors: Factors, rng: np.random.Generator) -> Mapping[str, Score]:
        found = dci_scores(codes, factors, rng, self.trees)
        return {f"dci_{name}": score for name, score in found._asdict().items()}
