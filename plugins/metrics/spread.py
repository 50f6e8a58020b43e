"""Variance of vectors that come in batches."""

from __future__ import annotations

import torch
from torch import Tensor


class Spread:
    """Variance of each number over all vectors, in float64, without storing them.

    References: Chan et al., Updating formulae and a pairwise algorithm for computing sample variances, 1979.

    >>> spread = Spread()
    >>> spread.add(torch.tensor([[0.0], [2.0]]))
    >>> spread.add(torch.tensor([[4.0]]))
    >>> spread.variance
    tensor([2.6667], dtype=torch.float64)
    """

    def __init__(self) -> None:
        self.n = 0
        self._mean = self._squares = torch.zeros((), dtype=torch.float64)

    def add(self, vectors: Tensor) -> None:
        """Add ``[B, L]`` vectors."""
        x = vectors.cpu().double()
        n, mean = x.shape[0], x.mean(0)
        step = mean - self._mean
        total = self.n + n
        self._squares = self._squares + (x - mean).square().sum(0) + step.square() * (self.n * n / total)
        self._mean = self._mean + step * (n / total)
        self.n = total

    @property
    def variance(self) -> Tensor:
        """``[L]``, the mean squared distance from the mean."""
        return self._squares / self.n
