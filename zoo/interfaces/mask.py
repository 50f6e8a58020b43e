"""Kind of partitions of an event into a kept and a changed piece."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from ..shape import Shape
from .component import Component, Contract
from .contracts import misshapen, not_a_pair


class Mask(Component, nn.Module, ABC):
    """Partition of an event into kept and changed elements, as two static pieces.

    ``split`` and ``merge`` are inverses of each other and move data only by views, strides and concatenation: no
    multiplication by zeros and ones, no index lists. ``kept`` and ``changed`` are the shapes of the pieces.

    A conditioner of the changed piece is asked for ``in_shape -> out_shape`` where ``in_shape`` is ``seen`` and
    ``out_shape`` is ``asked(times)``. Mostly these are just the pieces' shapes. A mask on a grid may show a
    convolution the whole grid instead (``show``) and take the changed places from what it answers (``answer``).
    """

    def __init__(self, shape: Shape, kept: Shape, changed: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.kept = kept
        self.changed = changed

    @property
    @abstractmethod
    def seen(self) -> Shape:
        """The shape of a conditioner's input."""

    @abstractmethod
    def asked(self, times: int) -> Shape:
        """The shape of a conditioner's output: ``times`` numbers for each changed element, channels first."""

    @abstractmethod
    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``[B, *shape] -> [B, *kept], [B, *changed]``."""

    @abstractmethod
    def merge(self, kept: Tensor, changed: Tensor) -> Tensor:
        """The inverse of `split`."""

    @abstractmethod
    def show(self, kept: Tensor) -> Tensor:
        """``[B, *kept] -> [B, *seen]``: a conditioner's input from the kept piece."""

    @abstractmethod
    def answer(self, h: Tensor) -> Tensor:
        """``[B, *asked(times)] -> [B, *changed.channels(times)]``: the answer at the changed places."""

    @staticmethod
    def _takes(mask: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the input", args[0], mask.shape)

    @staticmethod
    def _gives(mask: Any, result: Any) -> str | None:
        return (
            not_a_pair("its split", result)
            or misshapen("its kept piece", result[0], mask.kept)
            or misshapen("its changed piece", result[1], mask.changed)
        )

    contracts: ClassVar[Mapping[str, Contract]] = {"split": Contract(_takes, _gives)}
