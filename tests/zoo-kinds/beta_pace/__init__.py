"""Another kind that is called Schedule: how fast a model goes, without laws."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pydantic import PositiveFloat

from zoo import Component, component


class Schedule(Component, ABC):
    """A pace by the number of a step."""

    @abstractmethod
    def pace(self, step: int) -> float:
        """How far one goes in a step."""


@component("linear")
class Linear(Schedule):
    """A pace that grows with each step."""

    def __init__(self, *, slope: PositiveFloat = 1.0) -> None:
        self.slope = slope

    def pace(self, step: int) -> float:
        return self.slope * step
