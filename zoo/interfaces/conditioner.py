"""The kind of networks that compute the parameters of something else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from ..shape import Shape
from .component import Component, Contract
from .contracts import misshapen, wrong_context


class Conditioner(Component, nn.Module, ABC):
    """A network ``[B, *in_shape] -> [B, *out_shape]`` with a last layer that starts at zero.

    What it conditions therefore starts as its neutral element (a coupling as the identity).
    """

    def __init__(self, in_shape: Shape, out_shape: Shape) -> None:
        super().__init__()
        self.in_shape = in_shape
        self.out_shape = out_shape

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The parameters, from what is known."""

    @staticmethod
    def _takes(conditioner: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the input", args[0], conditioner.in_shape) or wrong_context(conditioner, args)

    @staticmethod
    def _gives(conditioner: Any, result: Any) -> str | None:
        return misshapen("its output", result, conditioner.out_shape)

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}
