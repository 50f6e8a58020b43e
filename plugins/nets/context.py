"""The kind of what a model is conditioned on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from zoo import Component, Contract, Event, Shape, misshapen


class Context(Component, nn.Module, ABC):
    """What a batch says beside the data, as a vector for every part that declares a ``context`` of its ``size``.

    Shapes: the batch's entry ``[B, ...]`` to ``[B, size]``.
    """

    source: ClassVar[str]
    """The entry of a batch that it is made from."""

    def __init__(self, event: Event, size: int) -> None:
        super().__init__()
        self.event = event
        self.size = size

    @abstractmethod
    def forward(self, given: Tensor) -> Tensor:
        """The vectors, from the batch's entry."""

    @staticmethod
    def _takes(context: Any, args: tuple[Any, ...]) -> str | None:
        return None

    @staticmethod
    def _gives(context: Any, result: Any) -> str | None:
        return misshapen("its output", result, Shape(context.size))

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}
