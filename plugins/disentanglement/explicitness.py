"""Explicitness."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import numpy as np
from pydantic import PositiveInt

from zoo import DataError, component, counted

from .base import FactorMetric
from .common import Codes, Factors, Score, Split, by_factor, split


def explicitness_score(codes: Codes, factors: Factors, rng: np.random.Generator) -> Score:
    """The mean area under the ROC curve of linear classifiers of each value of each factor, on held-out codes."""
    rows = split(codes, factors, rng)
    mean, spread = rows.codes.mean(axis=0), rows.codes.std(axis=0)
    scale = np.where(spread > 0.0, spread, 1.0)
    standard = rows._replace(codes=(rows.codes - mean) / scale, test_codes=(rows.test_codes - mean) / scale)
    each = np.array([_area(standard, factor) for factor in counted(rows.kept, len(rows.kept))])
    finite = each[np.isfinite(each)]
    if not len(finite):
        raise DataError("too few examples: no value of a factor is in both the training and the scoring examples")
    return Score(finite.mean(), 1.0, by_factor(each, rows.kept, factors.shape[1]))


def _area(rows: Split, factor: int) -> float:
    """The mean area under the ROC curve of one value against the rest, over the values in both parts."""
    classifier = import_module("sklearn.linear_model").LogisticRegression(max_iter=1000)
    classifier.fit(rows.codes, rows.factors[:, factor])
    belief = classifier.predict_proba(rows.test_codes)
    truth = rows.test_factors[:, factor]
    area = import_module("sklearn.metrics").roc_auc_score
    both = [column for column, value in enumerate(classifier.classes_) if 0 < (truth == value).sum() < len(truth)]
    areas = [area(truth == classifier.classes_[column], belief[:, column]) for column in both]
    return float(np.mean(areas)) if areas else float("nan")


@component("explicitness")
class Explicitness(FactorMetric):
    r"""Explicitness: whether a linear classifier can predict the values of each factor from the code.

    .. math:: \frac1F \sum_k \frac{1}{V_k} \sum_v \mathrm{AUC}\bigl(p(v_k = v \mid z)\bigr)

    of logistic regressions on two thirds of the examples, by the area under the ROC curve on the rest: a half for
    noise, one if all values are separated. A rotation of the code does not change it. Factors that do not vary are
    ignored.

    References: Ridgeway and Mozer, Learning deep disentangled embeddings with the F-statistic loss, 2018,
    arXiv:1802.05312, section 3; Locatello et al., 2019, arXiv:1811.12359.
    """

    gives = ("explicitness",)

    def __init__(self, *, examples: PositiveInt = 10_000) -> None:
        super().__init__(examples)

    def scores(self, codes: Codes, factors: Factors, rng: np.random.Generator) -> Mapping[str, Score]:
        return {"explicitness": explicitness_score(codes, factors, rng)}
