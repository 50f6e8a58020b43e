"""First layer: convolutions that are shifted."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Shape, component

from .causal_conv import CausalConv, ConvStepper
from .colours import check_whole_pixels
from .entry import CausalEntry, EntryStepper
from .normed import Normed
from .row_conv import RowConv, RowStepper
from .streams import Seen, Streams, near


@component("shifted")
class ShiftedEntry(CausalEntry):
    r"""Convolutions shifted down and to the right, so that none sees its own place.

    .. math:: v = W_1 *_{2 \times 3, \downarrow} x, \qquad
       h = W_2 *_{1 \times 3, \downarrow} x + W_3 *_{2 \times 1, \rightarrow} x

    x has one channel of ones more, which tells an image from what is beyond its border. The convolutions are
    weight-normalised and start from the first batch.

    References: Salimans et al., PixelCNN++, 2017, arXiv:1701.05517, sec. 2.3.

    Shapes: as `CausalEntry`; ValueError where the channels of a pixel come one by one.
    """

    def __init__(self, in_shape: Shape, out_shape: Shape, colours: int = 1, vertical: bool = False) -> None:
        super().__init__(in_shape, out_shape, colours, vertical)
        check_whole_pixels(colours)
        before, after = in_shape[0] + 1, out_shape[0]
        self.rows = Normed(RowConv(before, after, above=2, side=1, strict=True)) if vertical else None
        self.above = Normed(RowConv(before, after, above=1, side=1, strict=True))
        self.left = Normed(CausalConv(before, after, above=1, left=1, right=-1, strict=True))

    def forward(self, x: Tensor) -> Streams:
        x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
        return Streams(None if self.rows is None else self.rows(x), self.above(x) + self.left(x))

    def reach(self) -> Seen:
        _, H, W = self.out_shape
        h = near(H, W, [*self.above.layer.offsets, *self.left.layer.offsets])
        return Seen(None if self.rows is None else near(H, W, self.rows.layer.offsets), h)

    def stepper(self, n: int) -> EntryStepper:
        return ShiftedEntryStepper(self, n)


class ShiftedEntryStepper(EntryStepper):
    """Shifted convolutions of data on their way through ``n`` images."""

    def __init__(self, entry: ShiftedEntry, n: int) -> None:
        self.channels, _, W = entry.in_shape
        self.rows = None if entry.rows is None else RowStepper(entry.rows.layer, n, W)
        self.above = RowStepper(entry.above.layer, n, W)
        self.left = ConvStepper(entry.left.layer, n, W)

    def row(self) -> Tensor | None:
        last = torch.stack(self.left.cells, dim=2).unsqueeze(2)  # [n, in, 1, W]; zeros above the first row
        self.left.row(self.above.row(last))
        for cell in self.left.cells:
            cell[:, self.channels] = 1.0
        return None if self.rows is None else self.rows.row(last)

    def read(self, j: int) -> Tensor:
        return self.left.read(j)

    def write(self, j: int, colour: int, x: Tensor) -> None:
        self.left.cells[j][:, : self.channels] = x
