"""Last layer: a convolution."""

from __future__ import annotations

from torch import Tensor, nn

from zoo import component

from .output import Output
from .pointwise import Pointwise


@component("plain")
class PlainOutput(Output):
    """A 1x1 convolution whose weights and biases start at zero.

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
