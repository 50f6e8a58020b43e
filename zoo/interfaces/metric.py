"""The kind of figures by which models are compared."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self, TypeVar

import torch
from torch import Tensor

from .capabilities import Encodes
from .component import Component
from .model import Batch, Model


@dataclass(frozen=True)
class Measurement:
    """One figure: its value, over how many examples, whether it is exact or a bound, and how many were not finite.

    ``standard_error`` is that of the value as an estimate over all possible examples, None where it is not known.
    ``features`` is a digest of the network in whose features it was measured, None for figures without one.
    ``fitted_on`` is the number of training examples that a metric which overrides `Metric.fit` has taken; the
    caller of ``fit`` sets it.
    """

    value: float
    n: int
    kind: str = "exact"
    not_finite: int = 0
    fitted_on: int | None = field(default=None, repr=False)
    standard_error: float | None = field(default=None, repr=False)
    features: str | None = field(default=None, repr=False)

    @classmethod
    def mean_of(cls, values: Tensor, kind: str = "exact") -> Self:
        r"""The mean of one value an example, ``[N]``, and its standard error :math:`s / \sqrt N`.

        >>> import torch
        >>> Measurement.mean_of(torch.tensor([1.0, torch.inf]), "bound")
        Measurement(value=inf, n=2, kind='bound', not_finite=1)
        >>> Measurement.mean_of(torch.tensor([1.0, 3.0])).standard_error
        1.0
        """
        not_finite = int((~values.isfinite()).sum())
        error = (values.std() / math.sqrt(len(values))).item() if len(values) > 1 else math.nan
        known = error if math.isfinite(error) else None
        return cls(values.mean().item(), len(values), kind, not_finite, standard_error=known)


Goal = Literal["min", "max"]
"""Whether less of a figure is better, or more."""


class Metric(Component, ABC):
    """A figure of a model on held-out data."""

    places: ClassVar[Sequence[str]] = ()
    """The parameters that name files or addresses to read, such as ``features``: before those that only a share file
    has chosen are read, zoo asks."""
    needs: ClassVar[Collection[str]] = ()
    """The entries of a batch that it uses besides the data and what the model is conditioned on: ``label``."""

    @abstractmethod
    def check(self, model: Model) -> None:
        """Raise ValueError, saying why, unless the model can be measured so. Called when a spec is built."""

    def check_data(self, batches: Iterable[Batch]) -> None:
        """Raise ValueError or `zoo.DataError`, saying why, unless these examples can be measured on.

        Called before training with the batches of every split that `measure` will be given, and, where `fit` is
        overridden, with those of the training examples. Take no more of them than it needs: they are read as they are
        asked for.
        """
        return

    def fit(self, model: Model, batches: Iterable[Batch]) -> None:
        """Learn from the examples that the model was trained on, in order: a classifier of codes, their moments.

        Called just before `measure`, only where a metric overrides it. What is learnt stays in ``self``, for `measure`
        of the same instance. Take no more batches than it needs: they are read as they are asked for. Random draws are
        functions of the spec's seed. Gradients are off: a metric that trains something of its own does so within
        ``torch.enable_grad()``.
        """
        return

    def figures(self) -> Mapping[str, Goal | None]:
        """The figures that `measure` gives, without their details, and which way they are better; None for neither.

        The first is the one that the metric is named after. A metric that declares none is asked by measuring.
        """
        return {}

    @abstractmethod
    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        """The figures by name; the first is the one that the metric is named after.

        Details of a figure are led by its name and a dot, ``mig.shape``: tables leave them out.
        """


def needs_training_data(metric: Metric) -> bool:
    """Whether a metric learns from training examples before it measures: it overrides `Metric.fit`."""
    return type(metric).fit is not Metric.fit


T = TypeVar("T")
_computed: ContextVar[dict[Hashable, Any] | None] = ContextVar("computed", default=None)


@contextmanager
def one_evaluation() -> Iterator[None]:
    """Context manager in which the metrics of one model share what `computed_once` has computed."""
    token = _computed.set({})
    try:
        yield
    finally:
        _computed.reset(token)


def computed_once(key: Hashable, compute: Callable[[], T]) -> T:
    """The result of ``compute``, which the metrics of one evaluation that give the same key share: draws, codes.

    It must be a function of the key, of the model and of the data alone, not of the metric that asks first: random
    numbers in it are of a seed in the key.

    >>> with one_evaluation():
    ...     computed_once("draws", lambda: [1]) is computed_once("draws", lambda: [1])
    True
    """
    results = _computed.get()
    if results is None:
        return compute()
    if key not in results:
        results[key] = compute()
    found: T = results[key]
    return found


def encoded(model: Model, batches: Iterable[Batch]) -> Iterator[tuple[Tensor, Batch]]:
    """The codes of examples, batch by batch, ``[B, *code]``, each with the batch that was encoded; without gradients.

    ``torch.cat([codes.flatten(1) for codes, _ in encoded(model, batches)])`` is ``[N, D]``. Raises ValueError for a
    model that does not encode.
    """
    if not isinstance(model, Encodes):
        raise ValueError(f"the model {type(model).__name__} does not encode")
    return _codes(model, model, batches)


@torch.no_grad()
def _codes(model: Model, encoder: Encodes, batches: Iterable[Batch]) -> Iterator[tuple[Tensor, Batch]]:
    for batch in batches:
        yield encoder.encode(batch[model.event.name], model.given(batch)), batch
