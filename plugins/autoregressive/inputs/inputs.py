"""The kind of what a network is given of levels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from zoo import Component, Contract, Event, misshapen


class Inputs(Component, nn.Module, ABC):
    """Levels as floating point numbers, one or several ``features`` for each.

    Feature f of channel c is channel ``f * C + c``.

    Shapes: levels ``[B, *event.shape]`` to ``[B, features * C, ...]``; levels at one place, ``[n, C]`` to
    ``[n, features * C]``.
    """

    features: int = 1

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event

    @abstractmethod
    def forward(self, x: Tensor, dtype: Any) -> Tensor:
        """The numbers of all levels; gradients reach levels that are floating point numbers, if any can."""

    @abstractmethod
    def values(self, x: Tensor, dtype: Any) -> Tensor:
        """The same of levels ``[n, C]`` at one place, of any number of channels C."""

    @staticmethod
    def _takes(inputs: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the data", args[0], inputs.event.shape)

    @staticmethod
    def _gives(inputs: Any, result: Any) -> str | None:
        return misshapen("its output", result, inputs.event.shape.channels(inputs.features))

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}
