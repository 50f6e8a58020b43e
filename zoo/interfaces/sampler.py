"""The kind of ways to draw from a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

from .boundary import trusting
from .component import Component
from .model import Condition, Model


class Sampler(Component, ABC):
    """A way to draw from a model that has several; ValueError for one that it cannot draw from.

    What it asks of models while it draws is not checked, as within ``forward``.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        trusting(cls, "sample")

    def __init__(self, model: Model) -> None:
        self.model = model

    @abstractmethod
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        """``n`` draws, as `zoo.Samples.sample` gives them."""
