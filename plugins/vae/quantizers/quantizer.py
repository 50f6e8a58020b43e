"""The kind that puts codes of a codebook in the place of vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from zoo import Component, Contract, Shape, misshapen


class Quantized(NamedTuple):
    r"""What became of vectors :math:`z_e`: the codes nearest to them, :math:`e`.

    ``z`` ``[B, *shape]`` has the values of :math:`e` and the gradient of :math:`z_e`: straight through. ``codes`` are
    their numbers, int64 ``[B, *shape[1:]]``. ``commitment`` :math:`|z_e - \mathrm{sg}[e]|^2` moves the vectors and
    ``codebook`` :math:`|\mathrm{sg}[z_e] - e|^2` the codes: both ``[B]``, summed over the event.
    """

    z: Tensor
    codes: Tensor
    commitment: Tensor
    codebook: Tensor


class Quantizer(Component, nn.Module, ABC):
    """Vectors, the first size of ``shape``, at all places of the others, each replaced by the nearest code.

    Shapes: ``[B, *shape] -> [B, *shape]``.
    """

    size: int
    """How many codes there are."""

    codebook_weight: float
    """What the codebook's term counts in a loss: zero where the codes are moved by other means."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    @abstractmethod
    def forward(self, z: Tensor) -> Quantized:
        """The nearest codes. In training those that learn by other means than a gradient may learn here."""

    @abstractmethod
    def embed(self, codes: Tensor) -> Tensor:
        """The vectors of codes, ``[B, *shape[1:]] -> [B, *shape]``."""

    @staticmethod
    def _takes(quantizer: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("what is quantised", args[0], quantizer.shape)

    @staticmethod
    def _gives(quantizer: Any, result: Any) -> str | None:
        if not isinstance(result, Quantized):
            return f"its answer is {type(result).__name__}, not Quantized"
        return misshapen("its z", result.z, quantizer.shape)

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}
