"""The kind of pictures that a model can be asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from .component import Component
from .model import Model


class View(Component, ABC):
    """A picture of a model."""

    def __init__(self, model: Model) -> None:
        self.model = model

    @abstractmethod
    def draw(self, n: int, temperature: float) -> Tensor:
        """An image ``[3, H, W]`` of bytes."""
