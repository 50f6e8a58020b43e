"""The kind of last layers of a causal stack."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from zoo import Component, Contract

from .pointwise import Pointwise


class Output(Component, nn.Module, ABC):
    """A last 1x1 convolution, from the features of a place to all of its parameters; it starts at zero.

    Shapes: ``[B, before, H, W] -> [B, after, H, W]``.
    """

    def __init__(self, before: int, after: int, colours: int = 1) -> None:
        super().__init__()
        self.before = before
        self.after = after
        self.colours = colours

    @property
    @abstractmethod
    def pointwise(self) -> Pointwise:
        """The convolution, to be done one place at a time."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The parameters of all places."""

    @staticmethod
    def _takes(output: Any, args: tuple[Any, ...]) -> str | None:
        return _wrong_channels("the features", args[0], output.before)

    @staticmethod
    def _gives(output: Any, result: Any) -> str | None:
        return _wrong_channels("its output", result, output.after)

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}


def _wrong_channels(what: str, x: Tensor, channels: int) -> str | None:
    return None if x.shape[1] == channels else f"{what} should have {channels} channels, not {x.shape[1]}"
