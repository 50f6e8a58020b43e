"""Manifolds of data and of draws by nearest neighbours: precision and recall, density and coverage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from zoo import component, counted

from .draws import DrawsMetric
from .features import PIXELS

PAIRS = 5_000_000
"""Distances that are computed at a time."""


def rows_of_distances(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """Euclidean distances of some rows of ``x`` ``[N, D]`` after the other to all of ``y`` ``[M, D]``, ``[rows, M]``.

    They are differences squared, not expanded: what is equal has distance zero.
    """
    parts = torch.split(x, max(PAIRS // max(len(y), 1), 1))
    for rows in counted(parts, len(parts)):
        yield torch.cdist(rows, y, compute_mode="donot_use_mm_for_euclid_dist")


def radii(x: Tensor, k: int) -> Tensor:
    """The distance of each vector to its k-th nearest neighbour among the others, ``[N, D] -> [N]``.

    >>> radii(torch.tensor([[0.0], [1.0], [5.0]]), 1)
    tensor([1., 1., 4.])
    """
    return torch.cat([distances.kthvalue(k + 1, dim=1).values for distances in rows_of_distances(x, x)])


def inside(x: Tensor, centres: Tensor, k: int) -> Iterator[Tensor]:
    """Whether vectors lie in the balls around others that reach to their k-th neighbours, ``[rows, M]`` at a time."""
    reach = radii(centres, k)
    return (distances <= reach for distances in rows_of_distances(x, centres))


class ManifoldMetric(DrawsMetric):
    """Base of metrics that take the balls around examples up to their k-th neighbours for their manifold."""

    def __init__(self, features: str, weights: str | None, n: int, seed: int, batch: int, k: int) -> None:
        super().__init__(features=features, weights=weights, n=n, seed=seed, batch=batch)
        self.k = k

    @property
    def least(self) -> int:
        return self.k + 1


@component("precision_recall", example={"n": 16, "k": 1})
class PrecisionRecall(ManifoldMetric):
    r"""Precision and recall of draws: the share of draws on the manifold of the data, and of data on that of the draws.

    .. math:: \mathrm{precision} = \frac1N \sum_j \Bigl[\exists i: \|y_j - x_i\| \le r_k(x_i)\Bigr], \qquad
       \mathrm{recall} = \frac1N \sum_i \Bigl[\exists j: \|x_i - y_j\| \le r_k(y_j)\Bigr]

    for draws :math:`y`, held-out examples :math:`x`, and :math:`r_k` the distance to the :math:`k`-th nearest neighbour
    of the same kind, in features. Precision is how good draws are, recall how much of the data they cover. Both are at
    most 1, and grow with ``n`` and ``k``. Higher is better.

    Args:
        features: The features, as in `frechet_distance`.
        weights: The file with the weights of InceptionV3, a state dict; ``null`` for other features.
        n: The number of draws, and of held-out examples; all examples if there are fewer.
        seed: The seed of the draws and of the choice of examples.
        batch: The number of draws at a time.
        k: The number of neighbours.

    References: Kynkäänniemi et al., Improved precision and recall metric for assessing generative models, 2019,
    arXiv:1904.06991.

    >>> import zoo
    >>> metric = zoo.declare(zoo.Metric, {"type": "precision_recall", "k": 1})()
    >>> metric.compare(torch.tensor([[0.0], [1.0], [9.0]]), torch.tensor([[0.5], [0.6], [0.7]]))
    {'precision': 1.0, 'recall': 0.0}
    """

    def __init__(
        self,
        *,
        features: str = PIXELS,
        weights: str | None = None,
        n: PositiveInt = 10_000,
        seed: NonNegativeInt = 0,
        batch: PositiveInt = 1000,
        k: PositiveInt = 3,
    ) -> None:
        super().__init__(features, weights, n, seed, batch, k)

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"precision": "max", "recall": "max"}

    def compare(self, real: Tensor, drawn: Tensor) -> Mapping[str, float]:
        return {"precision": share_inside(drawn, real, self.k), "recall": share_inside(real, drawn, self.k)}


def share_inside(x: Tensor, centres: Tensor, k: int) -> float:
    """The share of vectors that lie in any ball."""
    return torch.cat([rows.any(1) for rows in inside(x, centres, k)]).double().mean().item()


@component("density_coverage", example={"n": 16, "k": 1})
class DensityCoverage(ManifoldMetric):
    r"""Density and coverage of draws: how many of the data's balls a draw lies in, and the share of balls with a draw.

    .. math:: \mathrm{density} = \frac{1}{kN} \sum_j \sum_i \bigl[\|y_j - x_i\| \le r_k(x_i)\bigr], \qquad
       \mathrm{coverage} = \frac1N \sum_i \Bigl[\exists j: \|y_j - x_i\| \le r_k(x_i)\Bigr]

    for draws :math:`y`, held-out examples :math:`x`, and :math:`r_k` the distance of an example to its :math:`k`-th
    nearest neighbour among the examples, in features. An outlier of the data counts little, unlike in precision and
    recall. For draws of the data's own distribution density is 1 in expectation, and coverage
    :math:`1 - 2^{-k}` for many examples; density may be above 1. Higher is better.

    Args:
        features: The features, as in `frechet_distance`.
        weights: The file with the weights of InceptionV3, a state dict; ``null`` for other features.
        n: The number of draws, and of held-out examples; all examples if there are fewer.
        seed: The seed of the draws and of the choice of examples.
        batch: The number of draws at a time.
        k: The number of neighbours.

    References: Naeem et al., Reliable fidelity and diversity metrics for generative models, 2020, arXiv:2002.09797.

    >>> import zoo
    >>> metric = zoo.declare(zoo.Metric, {"type": "density_coverage", "k": 1})()
    >>> metric.compare(torch.tensor([[0.0], [1.0], [9.0]]), torch.tensor([[0.5], [0.6], [30.0]]))
    {'density': 1.3333333333333333, 'coverage': 0.6666666666666666}
    """

    def __init__(
        self,
        *,
        features: str = PIXELS,
        weights: str | None = None,
        n: PositiveInt = 10_000,
        seed: NonNegativeInt = 0,
        batch: PositiveInt = 1000,
        k: PositiveInt = 5,
    ) -> None:
        super().__init__(features, weights, n, seed, batch, k)

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"density": "max", "coverage": "max"}

    def compare(self, real: Tensor, drawn: Tensor) -> Mapping[str, float]:
        balls, covered = 0, torch.zeros(len(real), dtype=torch.bool)
        for rows in inside(drawn, real, self.k):
            balls += int(rows.sum())
            covered |= rows.any(0)
        return {"density": balls / (self.k * len(drawn)), "coverage": covered.double().mean().item()}
