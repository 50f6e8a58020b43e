"""Draws of a model next to held-out examples, as vectors of features."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, final

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from zoo import Batch, Condition, DataError, Measurement, Metric, Model, Samples, computed_once, counted, map_condition

from .features import PIXELS, Features, features_of


class Vectors(NamedTuple):
    """Features of as many held-out examples as draws, ``[N, D]`` each, in float64 on the CPU, and of which network."""

    real: Tensor
    drawn: Tensor
    digest: str | None


@dataclass(frozen=True)
class Draws:
    """Number and seed of draws, and the features in which they are compared with held-out examples."""

    features: str
    weights: str | None
    n: int
    seed: int
    batch: int

    @torch.no_grad()
    def vectors(self, model: Model, batches: Iterable[Batch]) -> Vectors:
        """The features of draws and of held-out examples that are chosen at random.

        Draws of a conditional model are under the conditions of these examples. All is a function of the seed.
        """
        features = features_of(self.features, self.weights)
        if flaw := features.misfit(model.event.name, tuple(model.event.shape)):
            raise DataError(flaw)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            real, conditions = self._held_out(model, batches, features)
            chosen = torch.randperm(len(real))[: self.n]
            drawn = [self._some(model, rows, conditions, features) for rows in self._parts(chosen)]
        return Vectors(real[chosen], torch.cat(drawn), features.digest())

    def _held_out(self, model: Model, batches: Iterable[Batch], features: Features) -> tuple[Tensor, Condition | None]:
        found, given = [], []
        for batch in batches:
            found.append(features(batch[model.event.name], model.event).cpu().double())
            given.append({name: batch[name] for name in model.conditions})
        if not found:
            raise DataError("no examples to measure on")
        real = torch.cat(found)
        if not real.isfinite().all():
            raise DataError(f"the features of held-out examples by '{self.features}' are not finite")
        return real, {name: torch.cat([each[name] for each in given]) for name in model.conditions} or None

    def _parts(self, chosen: Tensor) -> Iterable[Tensor]:
        return counted(parts := torch.split(chosen, self.batch), len(parts))

    def _some(self, model: Model, rows: Tensor, conditions: Condition | None, features: Features) -> Tensor:
        """The features of a batch of draws, one under the conditions of each of these examples."""
        context = map_condition(lambda x: x[rows.to(x.device)], conditions)
        return features(samples(model).sample(len(rows), context), model.event).cpu().double()


class DrawsMetric(Metric, ABC):
    """Base of metrics that compare draws of a model with held-out examples, in features.

    As many examples are chosen at random as there are draws. Metrics of one evaluation that differ in nothing but their
    own parameters use the same draws. Draws are those of the model itself, at temperature 1, and where it is
    conditional, under the conditions of the chosen examples. All statistics are in float64. Figures of other features,
    of another number of draws or of other data do not compare.

    Raises ValueError for a model that does not sample; `zoo.DataError` for features that cannot be had, or not of this
    data. A figure is NaN if draws are not finite.

    Args:
        features: The features: a share file, a run or an address of a model that encodes, ``pixels`` for the data
            itself, or ``inception`` for the 2048 features of InceptionV3.
        weights: The file with the weights of InceptionV3, a state dict; ``null`` for other features.
        n: The number of draws, and of held-out examples; all examples if there are fewer.
        seed: The seed of the draws and of the choice of examples.
        batch: The number of draws at a time.
    """

    places = ("features", "weights")

    def __init__(
        self,
        *,
        features: str = PIXELS,
        weights: str | None = None,
        n: PositiveInt = 10_000,
        seed: NonNegativeInt = 0,
        batch: PositiveInt = 1000,
    ) -> None:
        self.draws = Draws(features, weights, n, seed, batch)

    @abstractmethod
    def compare(self, real: Tensor, drawn: Tensor) -> Mapping[str, float]:
        """The figures, from ``[N, D]`` each."""

    def standard_errors(self, real: Tensor, drawn: Tensor) -> Mapping[str, float]:
        """The standard errors of the figures that have one, from ``[N, D]`` each."""
        return {}

    @property
    def least(self) -> int:
        """The fewest draws that it can be measured on."""
        return 2

    @final
    def check(self, model: Model) -> None:
        samples(model)

    @final
    def check_data(self, batches: Iterable[Batch]) -> None:
        features = features_of(self.draws.features, self.draws.weights)
        batch = next(iter(batches), {})
        fits = [features.misfit(name, tuple(x.shape[1:])) for name, x in batch.items()]
        if fits and None not in fits:
            raise DataError(str(fits[0]))

    @final
    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        self.check(model)
        real, drawn, digest = computed_once(self.draws, partial(self.draws.vectors, model, batches))
        n, lost = len(drawn), int((~drawn.isfinite()).any(1).sum())
        if n < self.least:
            raise DataError(f"at least {self.least} draws and as many held-out examples are needed, got {n}")
        if lost:
            return {name: Measurement(math.nan, n, not_finite=lost, features=digest) for name in self.figures()}
        errors = self.standard_errors(real, drawn)
        return {
            name: Measurement(value, n, standard_error=errors.get(name), features=digest)
            for name, value in self.compare(real, drawn).items()
        }


def samples(model: Model) -> Samples:
    """The model as one that samples; ValueError if it does not."""
    if not isinstance(model, Samples):
        raise ValueError(f"the model {type(model).__name__} does not sample")
    return model
