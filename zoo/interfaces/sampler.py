"""The kind of ways to draw from a model."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from .component import Component
from .model import Condition, Model


class Sampler(Component, ABC):
    """A way to draw from a model that has several; ValueError for one that it cannot draw from."""

    def __init__(self, model: Model) -> None:
        self.model = model

    @abstractmethod
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        """``n`` draws, as `zoo.Samples.sample` gives them."""
