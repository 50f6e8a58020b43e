"""The kind of networks from data to what a code is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from ..shape import Shape
from .component import Component, Contract
from .contracts import misshapen


class Encoder(Component, nn.Module, ABC):
    """A network ``[B, *in_shape] -> [B, *out_shape]`` from data to a code, or to the parameters of one.

    Raises ValueError where it cannot give a shape.
    """

    def __init__(self, in_shape: Shape, out_shape: Shape) -> None:
        super().__init__()
        self.in_shape = in_shape
        self.out_shape = out_shape

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The code, from data."""

    @staticmethod
    def _takes(encoder: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the input", args[0], encoder.in_shape)

    @staticmethod
    def _gives(encoder: Any, result: Any) -> str | None:
        return misshapen("its output", result, encoder.out_shape)

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}
