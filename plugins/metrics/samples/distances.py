"""Distances between the distributions of draws and of held-out examples: Fréchet distance and kernel distance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor

from zoo import component

from .draws import DrawsMetric
from .features import PIXELS


@component("frechet_distance", example={"n": 16})
class FrechetDistance(DrawsMetric):
    r"""Fréchet distance between normal distributions with the moments of draws and of held-out examples, in features.

    .. math:: \|\mu - \hat\mu\|^2 + \operatorname{tr}\bigl(\Sigma + \hat\Sigma - 2 (\Sigma \hat\Sigma)^{1/2}\bigr)

    the squared Wasserstein distance of the two, as the Fréchet inception distance has it. Zero is best; few draws bias
    it upwards, by about as much as :math:`1/N`, so that only figures of one ``n`` compare. The number of the features
    should be well below ``n``.

    References: Heusel et al., GANs trained by a two time-scale update rule converge to a local Nash equilibrium, 2017,
    arXiv:1706.08500; Chong and Forsyth, Effectively unbiased FID and inception score, 2020, arXiv:1911.07023.

    >>> import zoo
    >>> metric = zoo.declare(zoo.Metric, "frechet_distance")()
    >>> x = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
    >>> metric.compare(x, 2.0 * x + 1.0)
    {'frechet_distance': 6.0}
    """

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"frechet_distance": "min"}

    def compare(self, real: Tensor, drawn: Tensor) -> Mapping[str, float]:
        return {"frechet_distance": frechet_distance(real.mean(0), real.T.cov(), drawn.mean(0), drawn.T.cov())}


def frechet_distance(mu: Tensor, sigma: Tensor, mu_hat: Tensor, sigma_hat: Tensor) -> float:
    r"""The Fréchet distance of two normal distributions, from means ``[D]`` and covariances ``[D, D]``.

    :math:`\operatorname{tr} (\Sigma \hat\Sigma)^{1/2}` is the sum of the square roots of the eigenvalues of the
    symmetric :math:`\Sigma^{1/2} \hat\Sigma \Sigma^{1/2}`, which exists for singular covariances too.
    """
    D = len(mu)
    sigma, sigma_hat = sigma.reshape(D, D), sigma_hat.reshape(D, D)  # torch's covariance of one number has no axes
    values, vectors = torch.linalg.eigh(sigma)
    root = vectors * values.clamp(min=0.0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ sigma_hat @ root).clamp(min=0.0).sqrt().sum()
    squared: Tensor = (mu - mu_hat).square().sum() + sigma.trace() + sigma_hat.trace() - 2.0 * cross
    return squared.clamp(min=0.0).item()


@component("kernel_distance", example={"n": 16})
class KernelDistance(DrawsMetric):
    r"""Kernel distance: squared maximum mean discrepancy of draws and held-out examples, in features.

    .. math:: \frac{1}{m(m-1)} \sum_{i \ne j} \bigl(k(x_i, x_j) + k(y_i, y_j)\bigr)
       - \frac{2}{m^2} \sum_{i, j} k(x_i, y_j), \qquad k(x, y) = \Bigl(\frac{x^\top y}{D} + 1\Bigr)^3

    the kernel inception distance where the features are those of InceptionV3. It has no bias, however few the draws,
    and may be below zero. The figure is the mean over disjoint parts of :math:`m` draws and examples, and its standard
    error is that of this mean, if there is more than one part. Lower is better.

    Args:
        features: The features, as in `frechet_distance`.
        weights: The file with the weights of InceptionV3, a state dict; ``null`` for other features.
        n: The number of draws, and of held-out examples; all examples if there are fewer.
        seed: The seed of the draws and of the choice of examples.
        batch: The number of draws at a time.
        subset: The least number of draws of a part, :math:`m`; all are one part if there are fewer than twice as many.

    References: Bińkowski et al., Demystifying MMD GANs, 2018, arXiv:1801.01401; Gretton et al., A kernel two-sample
    test, 2012, lemma 6.

    >>> import zoo
    >>> metric = zoo.declare(zoo.Metric, "kernel_distance")()
    >>> x = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    >>> metric.compare(x, x)
    {'kernel_distance': -3.5}
    """

    def __init__(
        self,
        *,
        features: str = PIXELS,
        weights: str | None = None,
        n: PositiveInt = 10_000,
        seed: NonNegativeInt = 0,
        batch: PositiveInt = 1000,
        subset: Annotated[int, Field(ge=2)] = 1000,
    ) -> None:
        super().__init__(features=features, weights=weights, n=n, seed=seed, batch=batch)
        self.subset = subset

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"kernel_distance": "min"}

    def compare(self, real: Tensor, drawn: Tensor) -> Mapping[str, float]:
        return {"kernel_distance": self._of_parts(real, drawn).mean().item()}

    def standard_errors(self, real: Tensor, drawn: Tensor) -> Mapping[str, float]:
        found = self._of_parts(real, drawn)
        return {"kernel_distance": (found.std() / math.sqrt(len(found))).item()} if len(found) > 1 else {}

    def _of_parts(self, real: Tensor, drawn: Tensor) -> Tensor:
        """The estimate of each part, ``[parts]``."""
        parts = max(len(real) // self.subset, 1)
        both = zip(real.tensor_split(parts), drawn.tensor_split(parts), strict=True)
        return torch.stack([squared_mmd(x, y) for x, y in both])


def squared_mmd(x: Tensor, y: Tensor) -> Tensor:
    """The unbiased estimate of the squared maximum mean discrepancy of ``[m, D]`` each, by the cubic kernel."""
    m = len(x)
    within = sum(kernel(z, z).sum() - kernel_of_itself(z).sum() for z in (x, y))
    return within / (m * (m - 1)) - 2.0 * kernel(x, y).mean()


def kernel(x: Tensor, y: Tensor) -> Tensor:
    """``[m, D], [n, D] -> [m, n]``."""
    return (x @ y.T / x.shape[1] + 1.0) ** 3


def kernel_of_itself(x: Tensor) -> Tensor:
    """The diagonal of ``kernel(x, x)``, ``[m]``."""
    return (x.square().mean(1) + 1.0) ** 3
