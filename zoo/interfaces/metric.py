"""The kind of figures by which models are compared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from torch import Tensor

from .component import Component
from .model import Batch, Model


@dataclass(frozen=True)
class Measurement:
    """One figure: its value, over how many examples, whether it is exact or a bound, and how many were not finite."""

    value: float
    n: int
    kind: str = "exact"
    not_finite: int = 0

    @classmethod
    def mean_of(cls, values: Tensor, kind: str = "exact") -> Self:
        """The mean of one value an example, ``[N]``.

        >>> import torch
        >>> Measurement.mean_of(torch.tensor([1.0, torch.inf]), "bound")
        Measurement(value=inf, n=2, kind='bound', not_finite=1)
        """
        return cls(values.mean().item(), len(values), kind, int((~values.isfinite()).sum()))


Goal = Literal["min", "max"]
"""Whether less of a figure is better, or more."""


class Metric(Component, ABC):
    """A figure of a model on held-out data."""

    needs: ClassVar[Collection[str]] = ()
    """The entries of a batch that it uses besides the data and what the model is conditioned on: ``label``."""

    @abstractmethod
    def check(self, model: Model) -> None:
        """Raise ValueError, saying why, unless the model can be measured so. Called when a spec is built."""

    def check_data(self, batches: Iterable[Batch]) -> None:
        """Raise ValueError or `zoo.DataError`, saying why, unless these examples can be measured on.

        Called before training with the batches of every split that `measure` will be given. Take no more of them than
        it needs: they are read as they are asked for.
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
