"""The kind of pictures that a model can be asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from .component import Component
from .model import Batch, Model


class View(Component, ABC):
    """A picture of a model."""

    default_n: int | None = None
    """The ``n`` of `draw` where none is asked for; None for the number of samples that the spec declares."""

    def __init__(self, model: Model) -> None:
        self.model = model

    @abstractmethod
    def draw(self, n: int, temperature: float, data: Batch | None = None) -> Tensor:
        """An image ``[3, H, W]`` of bytes, near a square: ``n`` is the number of examples, or of images, in it.

        ``data`` are held-out examples to compare with or to start from, where there are some: a share file alone
        comes without.
        """
