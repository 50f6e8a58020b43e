"""The kind of objectives that a flow is trained by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import nn

from zoo import Batch, Bijection, Clock, Component, Event, Terms

if TYPE_CHECKING:
    from .flow import Flow


class Objective(Component, nn.Module, ABC):
    """What a flow is trained to minimise. It gets the flow with each batch and holds no part of it.

    ``transforms`` are those of the flow that it is for. ValueError where such a flow cannot be trained so.
    """

    def __init__(self, event: Event, transforms: Bijection) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, flow: Flow, batch: Batch, clock: Clock) -> Terms:
        """The loss of a batch, and its unweighted terms."""
