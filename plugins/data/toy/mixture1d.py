"""Numbers drawn from a mixture of normals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from zoo import Dataset, Event, Examples, InMemory, Shape, component


@component("mixture1d", example={"size": 64, "test_size": 32})
class Mixture1D(Dataset):
    r"""Numbers drawn from a mixture of normals, whose density is known.

    .. math:: p(x) = \sum_k \frac{w_k}{\sum_j w_j}\, \mathcal N(x; \mu_k, \sigma_k^2)

    No model can have a lower expected negative log-likelihood than the entropy of :math:`p`; by default that is 1.4618
    nats. A batch has ``number``, float32 ``[B, 1]``. Both splits are drawn independently: a pure function of the
    parameters.

    Raises ValueError unless there are as many weights as means and scales.

    Args:
        weights: The weights :math:`w` of the normals, positive; they are normalised.
        means: The means :math:`\mu`.
        scales: The standard deviations :math:`\sigma`.
        size: The number of training examples.
        test_size: The number of test examples.
        seed: The seed of the random numbers.

    >>> Mixture1D(size=100).split("train").read(torch.arange(3))["number"].shape
    torch.Size([3, 1])
    """

    places = ()

    def __init__(
        self,
        *,
        weights: Annotated[Sequence[PositiveFloat], Field(min_length=1)] = (0.3, 0.45, 0.25),
        means: Annotated[Sequence[float], Field(min_length=1)] = (-2.0, 0.0, 2.5),
        scales: Annotated[Sequence[PositiveFloat], Field(min_length=1)] = (0.3, 0.6, 0.2),
        size: PositiveInt = 20_000,
        test_size: PositiveInt = 10_000,
        seed: NonNegativeInt = 0,
    ) -> None:
        if not len(weights) == len(means) == len(scales):
            raise ValueError(
                f"weights, means and scales must have equal lengths, got {len(weights)}, {len(means)} and {len(scales)}"
            )
        self.weights = np.asarray(weights, np.float64) / np.sum(weights)
        self.means, self.scales = np.asarray(means, np.float64), np.asarray(scales, np.float64)
        self.sizes = {"train": size, "test": test_size}
        self.seed = seed

    @property
    def event(self) -> Event:
        return Event("number", Shape(1))

    def split(self, name: Literal["train", "test"]) -> Examples:
        rng = np.random.default_rng([self.seed, ("train", "test").index(name)])
        k = rng.choice(len(self.weights), size=self.sizes[name], p=self.weights)
        numbers = self.means[k] + self.scales[k] * rng.standard_normal(len(k))
        return InMemory({"number": torch.from_numpy(numbers.astype(np.float32)).unsqueeze(1)})
