"""What the metrics of disentanglement share: codes in, figures out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import final

import numpy as np
import torch

from zoo import Batch, Measurement, Metric, Model

from .coded import coded, encodes
from .score import Codes, Factors, Score


class FactorMetric(Metric, ABC):
    """Scores of codes against factors, on at most ``examples`` held-out examples, drawn at random.

    Beside each score stands ``<name>.max``, the most that codes could have, and ``<name>.<factor>``, its part of each
    factor that has one. All draws come from torch's default generator.
    """

    def __init__(self, examples: int) -> None:
        self.examples = examples

    @abstractmethod
    def scores(self, codes: Codes, factors: Factors, rng: np.random.Generator) -> Mapping[str, Score]:
        """Scores by name, from ``[N, L]`` and ``[N, F]``."""

    @final
    def check(self, model: Model) -> None:
        encodes(model)

    @final
    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        self.check(model)
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        codes, factors = coded(model, batches, self.examples, rng)
        found: dict[str, float] = {}
        for name, score in self.scores(codes, factors, rng).items():
            found |= {name: score.value, f"{name}.max": score.maximum}
            parts = zip(model.event.factors or (), score.per_factor.tolist(), strict=True)
            found |= {f"{name}.{factor}": part for factor, part in parts if np.isfinite(part)}
        return {name: Measurement(float(value), len(codes)) for name, value in found.items()}
