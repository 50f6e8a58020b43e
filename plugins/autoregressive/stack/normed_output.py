"""Last layer: a weight-normalised convolution."""

from __future__ import annotations

from torch import Tensor, nn

from zoo import component

from .normed import Normed
from .output import Output
from .pointwise import Pointwise


@component("weight_normed")
class NormedOutput(Output):
    r"""A 1x1 convolution with its weight as :math:`w = g\, v / \lVert v \rVert`, as in PixelCNN++.

    Gains and biases start at zero, and so does what it gives, while its directions are random; the first batch leaves
    it so, as what is constant has no scale to start from. There all convolutions start from the first batch, the last
    one too.

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
