"""First layers of a causal stack, whose features do not depend on their own pixel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import AfterValidator, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import pad

from zoo import Component, Contract, Shape, component, misshapen

from .causal.conv1x1 import Pointwise, PointwiseStepper
from .causal.layer import Seen, Streams, near
from .causal.masked_conv import CausalConv, ConvStepper, odd
from .causal.raster_order import check_whole_pixels
from .causal.row_conv import RowConv, RowStepper
from .causal.weight_norm import Normed


class EntryStepper(ABC):
    """Incremental evaluation of a first layer on ``n`` images, as the data becomes known."""

    @abstractmethod
    def row(self) -> Tensor | None:
        """The vertical stream at the next row, ``[n, C, 1, W]``; the rows above are known."""

    @abstractmethod
    def read(self, j: int) -> Tensor:
        """The features at column j, ``[n, C]``, from the known data."""

    @abstractmethod
    def write(self, j: int, colour: int, x: Tensor) -> None:
        """Store the data at column j: of one colour, ``[n, features]``, or of all if they are drawn together."""


class CausalEntry(Component, nn.Module, ABC):
    """First layer: the features of each place depend on the pixels before it, and not on its own.

    With several ``colours`` feature i belongs to colour ``i % colours``, as channel i of the input does, and at its own
    pixel sees the colours before its own. ``vertical`` is whether the layers above need a stream of rows.

    Shapes: ``[B, *in_shape]`` to `Streams` of ``[B, *out_shape]``.
    """

    def __init__(self, in_shape: Shape, out_shape: Shape, colours: int = 1, vertical: bool = False) -> None:
        super().__init__()
        self.in_shape = in_shape
        self.out_shape = out_shape
        self.colours = colours
        self.vertical = vertical

    @abstractmethod
    def forward(self, x: Tensor) -> Streams:
        """The features of whole images."""

    @abstractmethod
    def reach(self) -> Seen:
        """Which pixels its features depend on, as declared."""

    @abstractmethod
    def stepper(self, n: int) -> EntryStepper:
        """Incremental evaluation on ``n`` images."""

    @staticmethod
    def _takes(entry: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("its input", args[0], entry.in_shape)

    @staticmethod
    def _gives(entry: Any, result: Any) -> str | None:
        return misshapen("its output", result.h, entry.out_shape)

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}


@component("masked")
class MaskedEntry(CausalEntry):
    """Masked convolution (mask A), which does not see its own place, with one of the rows above if layers need it.

    Args:
        kernel: The rows and columns of the kernels before masking, odd.

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
    """Incremental evaluation of a masked convolution of data on ``n`` images."""

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


@component("shifted")
class ShiftedEntry(CausalEntry):
    r"""Shifted convolutions, which see the places above and to the left.

    .. math:: v = W_1 *_{2 \times 3, \downarrow} x, \qquad
       h = W_2 *_{1 \times 3, \downarrow} x + W_3 *_{2 \times 1, \rightarrow} x

    x has an additional channel of ones, which distinguishes the image from its padding. The convolutions are
    weight-normalised and initialised from the first batch.

    References: Salimans et al., PixelCNN++, 2017, arXiv:1701.05517, sec. 2.3.

    Shapes: as `CausalEntry`; ValueError if the channels of a pixel are drawn one by one.
    """

    def __init__(self, in_shape: Shape, out_shape: Shape, colours: int = 1, vertical: bool = False) -> None:
        super().__init__(in_shape, out_shape, colours, vertical)
        check_whole_pixels(colours)
        before, after = in_shape[0] + 1, out_shape[0]
        self.rows = Normed(RowConv(before, after, above=2, side=1, strict=True)) if vertical else None
        self.above = Normed(RowConv(before, after, above=1, side=1, strict=True))
        self.left = Normed(CausalConv(before, after, above=1, left=1, right=-1, strict=True))

    def forward(self, x: Tensor) -> Streams:
        x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)  # [B, in + 1, H, W]
        return Streams(None if self.rows is None else self.rows(x), self.above(x) + self.left(x))

    def reach(self) -> Seen:
        _, H, W = self.out_shape
        h = near(H, W, [*self.above.layer.offsets, *self.left.layer.offsets])
        return Seen(None if self.rows is None else near(H, W, self.rows.layer.offsets), h)

    def stepper(self, n: int) -> EntryStepper:
        return ShiftedEntryStepper(self, n)


class ShiftedEntryStepper(EntryStepper):
    """Incremental evaluation of shifted convolutions of data on ``n`` images."""

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


@component("previous_pixel")
class PreviousPixel(CausalEntry):
    r"""Linear function of the previous pixel, in raster order: :math:`h_i = W x_{i-1} + b`.

    At the left edge it is the last pixel of the row above; the first place has a learned vector. Attention above it
    then sees all pixels before.

    References: Parmar et al., Image Transformer, 2018, arXiv:1802.05751, sec. 3.2.

    Shapes: as `CausalEntry`; ValueError if the channels of a pixel are drawn one by one, and under layers that need a
    stream of rows.
    """

    def __init__(self, in_shape: Shape, out_shape: Shape, colours: int = 1, vertical: bool = False) -> None:
        super().__init__(in_shape, out_shape, colours, vertical)
        check_whole_pixels(colours)
        if vertical:
            raise ValueError("has no stream of rows, which a layer needs: use the entry 'shifted' or 'masked'")
        self.conv = Pointwise(in_shape[0], out_shape[0])
        self.first = nn.Parameter(torch.zeros(out_shape[0], 1))

    def forward(self, x: Tensor) -> Streams:
        h = self.conv(x).flatten(2)[..., :-1]  # [B, C, H * W - 1]
        first = self.first.expand(h.shape[0], -1, -1).to(h.dtype)  # [B, C, 1]
        return Streams(None, torch.unflatten(torch.cat([first, h], dim=2), 2, x.shape[2:]))

    def reach(self) -> Seen:
        _, H, W = self.out_shape
        places = torch.eye(H * W, dtype=torch.bool, device="cpu")
        return Seen(None, pad(places[:-1], (0, 0, 1, 0)))

    def stepper(self, n: int) -> EntryStepper:
        return PreviousPixelStepper(self, n)


class PreviousPixelStepper(EntryStepper):
    """Incremental evaluation of the previous pixel on ``n`` images."""

    def __init__(self, entry: PreviousPixel, n: int) -> None:
        self.conv = PointwiseStepper(entry.conv)
        self.here = entry.first.detach().t().expand(n, -1)

    def row(self) -> Tensor | None:
        return None

    def read(self, j: int) -> Tensor:
        return self.here

    def write(self, j: int, colour: int, x: Tensor) -> None:
        self.here = self.conv(x)
