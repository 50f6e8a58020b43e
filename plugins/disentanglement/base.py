"""Base of disentanglement metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray

from zoo import Batch, Measurement, Metric, Model

from .codes import coded, encodes
from .common import Codes, Factors, Score, varying


class FactorMetric(Metric, ABC):
    """Base of metrics that compare codes with factors, on held-out examples drawn at random.

    Each score comes with ``<name>.max``, the largest possible score, and ``<name>.<factor>``, its part for each factor
    that has one, with ``<name>.<factor>.max`` if that is not the same for all. All random numbers come from torch's
    default generator.

    Args:
        examples: The largest number of examples.
    """

    needs = ("factors",)
    least_factors: ClassVar[int] = 1
    """The least number of factors that must vary among the examples."""
    gives: ClassVar[Sequence[str]]
    """The names of the scores."""

    def __init__(self, examples: int) -> None:
        self.examples = examples

    @abstractmethod
    def scores(self, codes: Codes, factors: Factors, rng: np.random.Generator) -> Mapping[str, Score]:
        """Scores by name, from ``[N, L]`` and ``[N, F]``."""

    @final
    def check(self, model: Model) -> None:
        encodes(model)

    @final
    def check_data(self, batches: Iterable[Batch]) -> None:
        """`zoo.DataError` unless enough factors vary; batches are read until they do."""
        seen: list[Factors] = []
        for batch in batches:
            seen.append(batch["factors"].cpu().numpy())
            if (np.concatenate(seen) != seen[0][:1]).any(axis=0).sum() >= self.least_factors:
                return
        varying(np.concatenate(seen), self.least_factors)

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return dict.fromkeys(self.gives, "max")

    @final
    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        self.check(model)
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        codes, factors = coded(model, batches, self.examples, rng)
        found: dict[str, float] = {}
        for name, score in self.scores(codes, factors, rng).items():
            found |= {name: score.value, f"{name}.max": score.maximum}
            names = [f"{name}.{factor}" for factor in model.event.factors or ()]
            found |= _finite(names, score.per_factor)
            if score.most is not None:
                found |= _finite([f"{part}.max" for part in names], score.most)
        return {name: Measurement(float(value), len(codes)) for name, value in found.items()}


def _finite(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, float]:
    return {name: value for name, value in zip(names, values.tolist(), strict=True) if np.isfinite(value)}
