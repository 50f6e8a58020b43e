"""The kind of networks from a code to what data is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from ..shape import Shape
from .component import Component, Contract
from .contracts import misshapen


class Decoder(Component, nn.Module, ABC):
    """A network ``[B, *in_shape] -> [B, *out_shape]`` from a code to data, or to the parameters of a likelihood.

    Raises ValueError where it cannot give a shape.
    """

    def __init__(self, in_shape: Shape, out_shape: Shape) -> None:
        super().__init__()
        self.in_shape = in_shape
        self.out_shape = out_shape

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """Data, from a code."""

    @staticmethod
    def _takes(decoder: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the code", args[0], decoder.in_shape)

    @staticmethod
    def _gives(decoder: Any, result: Any) -> str | None:
        return misshapen("its output", result, decoder.out_shape)

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}
