"""The kind of networks that give each element parameters by the elements before it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from zoo import Component, Contract, Shape, misshapen, wrong_context

Solve = Callable[[int, Tensor], Tensor]
"""``(i, h) -> x_i``: an element, ``[B]``, once its parameters ``[B, count]`` are known."""


class AutoregressiveNet(Component, nn.Module, ABC):
    r"""A network :math:`h = g(x)` where the parameters :math:`h_i` of element i depend on :math:`x_1 \dots x_{i-1}`.

    The order is that of memory: the last size runs fastest. The last layer starts at zero.

    Shapes: ``[B, *shape] -> [B, count, *shape]``, ``count`` parameters for each element.
    """

    def __init__(self, shape: Shape, count: int) -> None:
        super().__init__()
        self.shape = shape
        self.count = count

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The parameters of all elements, from all elements."""

    @abstractmethod
    def unroll(self, solve: Solve, n: int, context: Tensor | None = None) -> Tensor:
        """The ``x`` ``[n, *shape]`` of which each element is ``solve`` of its index in the order and its parameters.

        Elements come one after the other. What the known ones have led to is kept, not computed again.
        """

    @staticmethod
    def _takes(net: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the input", args[0], net.shape) or wrong_context(net, args)

    @staticmethod
    def _gives(net: Any, result: Any) -> str | None:
        return misshapen("its output", result, Shape(net.count, *net.shape))

    @staticmethod
    def _takes_solve(net: Any, args: tuple[Any, ...]) -> str | None:
        return wrong_context(net, args[1:])

    @staticmethod
    def _gives_events(net: Any, result: Any) -> str | None:
        return misshapen("its x", result, net.shape)

    contracts: ClassVar[Mapping[str, Contract]] = {
        "forward": Contract(_takes, _gives),
        "unroll": Contract(_takes_solve, _gives_events),
    }
