"""BetaVAE score."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from zoo import component, counted

from .base import FactorMetric
from .common import Alike, Codes, Factors, Score, by_factor, varying

CHUNK = 1000


def beta_vae_score(
    codes: Codes, factors: Factors, rng: np.random.Generator, votes: int = 10_000, batch: int = 64
) -> Score:
    """The accuracy of a linear classifier of the factor that pairs of examples share, from the differences of their
    codes.
    """
    kept = varying(factors, least=2)
    alike = [Alike(factors[:, factor]) for factor in kept]
    classifier = import_module("sklearn.linear_model").LogisticRegression(max_iter=1000)
    classifier.fit(*_differences(codes, alike, rng, votes, batch))
    x, shared = _differences(codes, alike, rng, max(votes // 2, 1), batch)
    right = classifier.predict(x) == shared
    each = [right[shared == k].mean() if (shared == k).any() else np.nan for k in range(len(kept))]
    return Score(right.mean(), 1.0, by_factor(np.array(each), kept, factors.shape[1]))


def _differences(
    codes: Codes, alike: list[Alike], rng: np.random.Generator, votes: int, batch: int
) -> tuple[Codes, NDArray[np.int64]]:
    """Mean differences of ``batch`` pairs, ``[votes, L]``, and the factor that the pairs share, ``[votes]``."""
    # Each factor in turn, not at random, so that all classes occur even with few votes.
    shared = rng.permutation(np.arange(votes) % len(alike))
    found = np.empty((votes, codes.shape[1]))
    for start in counted(range(0, votes, CHUNK), -(-votes // CHUNK)):
        for factor, rows in enumerate(alike):
            mine = start + np.flatnonzero(shared[start : start + CHUNK] == factor)
            first = rng.integers(len(codes), size=(len(mine), batch))
            found[mine] = np.abs(codes[first] - codes[rows.draw(first, rng)]).mean(axis=1)
    return found, shared


@component("beta_vae_score")
class BetaVAEScore(FactorMetric):
    r"""BetaVAE score: whether the code of a factor is constant while the others vary.

    For each vote one factor :math:`k` is chosen, and pairs of examples that share its value. A logistic regression
    predicts :math:`k` from

    .. math:: d = \frac1B \sum_{b=1}^B |z_b - z'_b|

    and the score is its accuracy on half as many new votes. Chance is one over the number of factors, the score of
    codes of noise; the largest score is one, which a rotation of perfect codes may also reach. Factors that do not vary
    are ignored.

    Args:
        votes: The number of votes to train on.
        batch: The number of pairs of a vote, :math:`B`.

    References: Higgins et al., beta-VAE: learning basic visual concepts with a constrained variational framework,
    2017; Locatello et al., 2019, arXiv:1811.12359.
    """

    least_factors = 2
    gives = ("beta_vae_score",)

    def __init__(self, *, examples: PositiveInt = 10_000, votes: PositiveInt = 10_000, batch: PositiveInt = 64) -> None:
        super().__init__(examples)
        self.votes = votes
        self.batch = batch

    def scores(self, codes: Codes, factors: Factors, rng: np.random.Generator) -> Mapping[str, Score]:
        return {"beta_vae_score": beta_vae_score(codes, factors, rng, self.votes, self.batch)}
