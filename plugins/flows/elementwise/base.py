"""Elementwise increasing maps whose parameters are computed by a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from zoo import Component, Contract

if TYPE_CHECKING:
    from zoo.testing import Laws


class Transformer(Component, nn.Module, ABC):
    r"""Increasing map :math:`y = \tau(x; h)` of every element of an event, with separate parameters for each.

    Couplings and autoregressive layers use it and differ in what the parameters may depend on. It holds no parameters
    itself, and :math:`h = 0` is the identity.

    Shapes: ``x`` and ``y`` are ``[B, *shape]``, ``h`` is ``[B, count, *shape]``, and the logarithm of the derivative is
    ``[B, *shape]``, in nats and in the dtype of ``x``.
    """

    count: int
    """How many parameters an element has."""

    @abstractmethod
    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """``x -> (y, log dy/dx)``."""

    @abstractmethod
    def inverse(self, y: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """``y -> (x, log dx/dy)``."""

    def decode(self, y: Tensor, h: Tensor) -> Tensor:
        """``y -> x``, without the derivative: overridden to save work in sampling."""
        return self.inverse(y, h)[0]

    @classmethod
    def laws(cls) -> Laws:
        from ..laws.transformer import LAWS

        return LAWS

    @staticmethod
    def _takes(transformer: Any, args: tuple[Any, ...]) -> str | None:
        x, h = args
        wanted = [len(x), transformer.count, *x.shape[1:]]
        return None if list(h.shape) == wanted else f"the parameters are {list(h.shape)}, expected {wanted}"

    @staticmethod
    def _gives(transformer: Any, result: Any) -> str | None:
        y, slope = result
        return (
            None if y.shape == slope.shape else f"its log-derivative is {list(slope.shape)}, expected {list(y.shape)}"
        )

    contracts: ClassVar[Mapping[str, Contract]] = {
        "forward": Contract(_takes, _gives),
        "inverse": Contract(_takes, _gives),
    }
