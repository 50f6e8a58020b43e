"""Separated attribute predictability."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from zoo import component, counted

from .base import FactorMetric
from .common import Codes, Factors, Score, Split, by_factor, gaps, split, varying


def sap_of_values(codes: Codes, factors: Factors, rng: np.random.Generator) -> Score:
    """The gap in accuracy of a linear classifier of each factor's values, from one dimension of the code."""
    rows = split(codes, factors, rng)
    matrix = [
        [_accuracy(rows, code, factor) for factor in rows.kept]
        for code in counted(range(codes.shape[1]), codes.shape[1])
    ]
    each = gaps(np.array(matrix))
    ceiling = _ceiling(rows)
    parts, most = (by_factor(values, rows.kept, factors.shape[1]) for values in (each, ceiling))
    return Score(each.mean(), ceiling.mean(), parts, most)


def sap_of_numbers(codes: Codes, factors: Factors) -> Score:
    """The gap in the squared correlation of each factor with one dimension of the code."""
    kept = varying(factors)
    z, v = codes - codes.mean(axis=0), factors[:, kept] - factors[:, kept].mean(axis=0)
    spread = z.var(axis=0)
    live = np.where(spread > 1e-12, spread, np.inf)
    each = gaps((z.T @ v / len(z)) ** 2 / (live[:, None] * v.var(axis=0)))
    return Score(each.mean(), 1.0, by_factor(each, kept, factors.shape[1]))


def _accuracy(rows: Split, code: int, factor: int) -> float:
    train, test = rows.codes[:, code], rows.test_codes[:, code]
    return _separability(train, rows.factors[:, factor], test, rows.test_factors[:, factor])


def _ceiling(rows: Split) -> NDArray[np.float64]:
    """The score of each factor itself, standardised, next to a code that guesses."""
    found = []
    for factor in rows.kept:
        values, test = rows.factors[:, factor], rows.test_factors[:, factor]
        mean, spread = values.mean(), values.std()
        own = _separability((values - mean) / spread, values, (test - mean) / spread, test)
        found.append(own - 1.0 / len(np.unique(values)))
    return np.array(found)


def _separability(
    code: NDArray[np.float64], values: NDArray[np.int64], test: NDArray[np.float64], test_values: NDArray[np.int64]
) -> float:
    """Held-out accuracy of a linear support vector machine, one value against the rest."""
    machine = import_module("sklearn.svm").LinearSVC(C=0.01, class_weight="balanced", dual=False)
    machine.fit(code[:, None], values)
    return float((machine.predict(test[:, None]) == test_values).mean())


@component("sap")
class SeparatedAttributePredictability(FactorMetric):
    r"""Separated attribute predictability: whether one dimension of the code predicts a factor, and no second one does.

    .. math:: \mathrm{SAP} = \frac1F \sum_k S_{l_k k} - \max_{l \ne l_k} S_{l k}, \qquad l_k = \arg\max_l S_{l k}

    A linear threshold cannot separate many values: ``sap.max`` is the score of the factors themselves, standardised,
    next to codes that guess, and codes of another scale may score slightly more. Factors that do not vary are ignored.

    Args:
        factors: ``discrete`` takes for :math:`S` the held-out accuracy of a linear support vector machine (C =
            0.01, balanced) that is trained on two thirds of the examples, ``continuous`` the squared correlation.

    References: Kumar et al., Variational inference of disentangled latent concepts from unlabeled observations, 2018,
    arXiv:1711.00848, section 3; Locatello et al., 2019, arXiv:1811.12359.
    """

    gives = ("sap",)

    def __init__(
        self, *, examples: PositiveInt = 10_000, factors: Literal["discrete", "continuous"] = "discrete"
    ) -> None:
        super().__init__(examples)
        self.factors = factors

    def scores(self, codes: Codes, factors: Factors, rng: np.random.Generator) -> Mapping[str, Score]:
        if self.factors == "continuous":
            return {"sap": sap_of_numbers(codes, factors)}
        return {"sap": sap_of_values(codes, factors, rng)}
