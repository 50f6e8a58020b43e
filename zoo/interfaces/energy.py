"""The kind of energies: densities that are known up to a constant."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from ..shape import Shape
from .component import Component, Contract
from .contracts import misshapen, not_per_sample


class Energy(Component, nn.Module, ABC):
    r"""An energy over events of one shape: the negative logarithm of a density that need not be normalised.

    .. math:: p(x) = \frac{\exp(-U(x))}{Z}, \qquad Z = \int \exp(-U(x))\, dx

    Shapes: ``x`` is ``[B, *shape]``, :math:`U(x)` is ``[B]``, in nats.
    """

    extent: float | None = None
    """Half the side of a cube about zero that has all of the mass but some 1e-12, where such a cube is known."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """:math:`U(x)`, ``[B, *shape] -> [B]``."""

    @staticmethod
    def _takes(energy: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the event", args[0], energy.shape)

    @staticmethod
    def _gives(energy: Any, result: Any) -> str | None:
        return not_per_sample("its energy", result)

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}
