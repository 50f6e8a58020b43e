"""The kind of random changes to training data."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn

from ..event import Event
from .component import Component
from .model import Batch


class Augmentation(Component, nn.Module, ABC):
    """A random change to training batches, on the device, drawn from the default generator."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event

    @abstractmethod
    def forward(self, batch: Batch) -> Batch:
        """The same examples, changed."""
