"""Last layers of a causal stack."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from zoo import Component, Contract, component

from .causal.conv1x1 import Pointwise
from .causal.weight_norm import Normed


class Output(Component, nn.Module, ABC):
    """Last 1x1 convolution, from the features of a place to all of its parameters; it starts at zero.

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
        """The convolution, for evaluation of one place at a time."""

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
    return None if x.shape[1] == channels else f"{what} must have {channels} channels, got {x.shape[1]}"


@component("plain")
class PlainOutput(Output):
    """1x1 convolution whose weights and biases start at zero.

    Shapes: as `Output`.
    """

    def __init__(self, before: int, after: int, colours: int = 1) -> None:
        super().__init__(before, after, colours)
        self.layer = Pointwise(before, after, colours=colours)
        nn.init.zeros_(self.layer.conv.weight)
        nn.init.zeros_(self.layer.conv.bias)  # type: ignore[arg-type]

    @property
    def pointwise(self) -> Pointwise:
        return self.layer

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y


@component("weight_normed")
class NormedOutput(Output):
    r"""1x1 convolution with its weight as :math:`w = g\, v / \lVert v \rVert`, as in PixelCNN++.

    Gains and biases, and so the output, start at zero, while the directions are random. Initialisation from the first
    batch leaves them at zero, as a constant output has no scale; in PixelCNN++ the last convolution is initialised from
    it too.

    References: Salimans and Kingma, Weight Normalization, 2016, arXiv:1602.07868, eq. 2.

    Shapes: as `Output`.
    """

    def __init__(self, before: int, after: int, colours: int = 1) -> None:
        super().__init__(before, after, colours)
        self.layer = Normed(Pointwise(before, after, colours=colours))
        nn.init.zeros_(self.layer.gain)
        nn.init.zeros_(self.layer.bias)

    @property
    def pointwise(self) -> Pointwise:
        return self.layer.layer

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y
