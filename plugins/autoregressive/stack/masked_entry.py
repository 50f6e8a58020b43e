"""First layer: a masked convolution."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, PositiveInt
from torch import Tensor

from zoo import Shape, component

from .causal_conv import CausalConv, ConvStepper
from .entry import CausalEntry, EntryStepper
from .odd import odd
from .row_conv import RowConv, RowStepper
from .streams import Seen, Streams, near


@component("masked")
class MaskedEntry(CausalEntry):
    """A convolution that does not see its own place (mask A), and one of the rows above where layers ask for it.

    The kernels have ``kernel`` rows and columns, an odd number, less those that are masked.

    References: van den Oord et al., Pixel Recurrent Neural Networks, 2016, arXiv:1601.06759, sec. 3.4 and table 1.
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        colours: int = 1,
        vertical: bool = False,
        *,
        kernel: Annotated[PositiveInt, AfterValidator(odd)] = 7,
    ) -> None:
        super().__init__(in_shape, out_shape, colours, vertical)
        side, before, after = kernel // 2, in_shape[0], out_shape[0]
        self.conv = CausalConv(before, after, above=side, left=side, right=side, strict=True, colours=colours)
        self.rows = RowConv(before, after, above=side, side=side, strict=True) if vertical else None

    def forward(self, x: Tensor) -> Streams:
        return Streams(None if self.rows is None else self.rows(x), self.conv(x))

    def reach(self) -> Seen:
        _, H, W = self.out_shape
        return Seen(None if self.rows is None else near(H, W, self.rows.offsets), near(H, W, self.conv.offsets))

    def stepper(self, n: int) -> EntryStepper:
        return MaskedEntryStepper(self, n)


class MaskedEntryStepper(EntryStepper):
    """A masked convolution of data on its way through ``n`` images."""

    def __init__(self, entry: MaskedEntry, n: int) -> None:
        W = entry.in_shape[2]
        self.conv = ConvStepper(entry.conv, n, W)
        self.rows = None if entry.rows is None else RowStepper(entry.rows, n, W)
        self.colours = entry.colours

    def row(self) -> Tensor | None:
        self.conv.row()
        return None if self.rows is None else self.rows.row(self.conv.rows[:, :, -1:])

    def read(self, j: int) -> Tensor:
        return self.conv.read(j)

    def write(self, j: int, colour: int, x: Tensor) -> None:
        self.conv.cells[j][:, colour :: self.colours] = x
