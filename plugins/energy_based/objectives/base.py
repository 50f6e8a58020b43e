"""The kind of objectives of energy-based models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn

from zoo import Clock, Component, Energy, Event, Terms

if TYPE_CHECKING:
    from zoo.testing import Laws


class EnergyObjective(Component, nn.Module, ABC):
    """Training objective of an energy, which is passed with each batch of floating point numbers.

    ValueError for data that it cannot learn from.
    """

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event

    @abstractmethod
    def forward(self, energy: Energy, x: Tensor, clock: Clock) -> Terms:
        """The loss of data ``[B, *shape]``, and its unweighted terms."""

    def optimum(self, covariance: Tensor) -> Tensor | None:
        """The precision of the quadratic energy that minimises its expected loss on normal data, ``[D, D]``.

        The inverse of the data's covariance, unless the objective learns another density; None where it depends on how
        far chains are from their density.
        """
        return covariance.inverse()

    @classmethod
    def laws(cls) -> Laws:
        from ..laws.objective import LAWS

        return LAWS
