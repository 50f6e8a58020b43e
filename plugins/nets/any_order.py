"""Autoregressive networks whose weights serve every order of the elements."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from .autoregressive_net import Solve


class AnyOrder(ABC):
    """What an `AutoregressiveNet` can do if its weights belong to elements, and its masks alone to their order.

    An order is given by ``ranks``: when each element comes, int64 ``[D]``. With those of memory, ``0, 1, ...``, both
    methods are the net's own.
    """

    @abstractmethod
    def in_order(self, x: Tensor, ranks: Tensor, context: Tensor | None = None) -> Tensor:
        """The parameters of all sites, each by the elements of lower ranks: `AutoregressiveNet.forward`."""

    @abstractmethod
    def unroll_in(self, ranks: Tensor, solve: Solve, n: int, context: Tensor | None = None) -> Tensor:
        """The elements one after the other by their ranks: `AutoregressiveNet.unroll`."""
