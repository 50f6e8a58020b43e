"""Gated residual units of PixelCNN++."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, glu

from ...nets.activations import concat_elu
from ...nets.context_conv import Given
from .conv1x1 import Pointwise
from .layer import Seen, Stepper, Streams, near, through
from .masked_conv import CausalConv, ConvStepper
from .row_conv import RowConv, RowStepper
from .weight_norm import Normed

C = TypeVar("C", CausalConv, RowConv)


class GatedUnit(nn.Module, Generic[C]):
    r"""Gated residual unit: two convolutions, the first with input from other streams, and the second gated.

    .. math::
        a = W_1 * \phi(x) + U\, \phi(s), \qquad (b, c) = W_2 * \phi(a) + V e, \qquad x' = x + b \odot \sigma(c)

    with :math:`\phi` the ELU of both signs (`concat_elu`), :math:`s` the concatenated channels of the other streams,
    ``sides`` of them, and :math:`e` the ``context``; dropout is on :math:`\phi(a)`. All convolutions are
    weight-normalised; after the first batch :math:`(b, c)` has standard deviation 0.1.

    Shapes: ``[B, width, H, W]``, unchanged, and that of each side.
    """

    def __init__(
        self, conv: Callable[[int, int], C], width: int, sides: int, dropout: float = 0.0, context: int = 0
    ) -> None:
        super().__init__()
        self.first: Normed[C] = Normed(conv(2 * width, width))
        self.beside = Normed(Pointwise(2 * sides * width, width)) if sides else None
        self.dropout = nn.Dropout(dropout)
        self.second: Normed[C] = Normed(conv(2 * width, 2 * width), scale=0.1)
        self.given = Given(context, 2 * width) if context else None

    def forward(self, x: Tensor, *sides: Tensor, context: Tensor | None = None) -> Tensor:
        a = self.first(concat_elu(x))
        if self.beside is not None:
            a = a + self.beside(torch.cat([concat_elu(side) for side in sides], dim=1))
        y = self.second(self.dropout(concat_elu(a)))  # [B, 2 width, H, W]
        if self.given is not None and context is not None:
            y = y + self.given(context)
        return x + glu(y, dim=1)  # [B, width, H, W]


class GatedRowStepper:
    """Incremental evaluation of a gated unit of the stream of rows, on ``n`` images of ``W`` columns."""

    def __init__(self, unit: GatedUnit[RowConv], n: int, W: int, context: Tensor | None) -> None:
        self.first = RowStepper(unit.first.layer, n, W)
        self.second = RowStepper(unit.second.layer, n, W)
        self.beside = None if unit.beside is None else _weights(unit.beside)
        self.given = None if unit.given is None or context is None else unit.given.rows(context)

    def row(self, x: Tensor, *sides: Tensor) -> Tensor:
        """The next row, ``[n, width, 1, W]``."""
        a = self.first.row(concat_elu(x))
        if self.beside is not None:
            a = a + conv2d(torch.cat([concat_elu(side) for side in sides], dim=1), *self.beside)
        y = self.second.row(concat_elu(a))
        if self.given is not None:
            y = y + next(self.given)
        return x + glu(y, dim=1)


class GatedStepper:
    """Incremental evaluation of a gated unit of the stream of places, whose first side is that of rows, on ``n``
    images.
    """

    def __init__(self, unit: GatedUnit[CausalConv], n: int, W: int, context: Tensor | None) -> None:
        self.first = ConvStepper(unit.first.layer, n, W)
        self.second = ConvStepper(unit.second.layer, n, W)
        weight, self.bias = _weights(unit.beside)  # type: ignore[arg-type]
        channels = 2 * weight.shape[0]
        self.of_row, of_place = weight[:, :channels], weight[:, channels:]
        self.of_place = of_place.flatten(1).t().contiguous()
        self.given = None if unit.given is None or context is None else unit.given.rows(context)

    def row(self, v: Tensor) -> None:
        """Go to the next row, for which the stream of rows is known, ``[n, width, 1, W]``."""
        self.first.row(conv2d(concat_elu(v), self.of_row, self.bias))
        self.second.row(None if self.given is None else next(self.given))

    def step(self, j: int, x: Tensor, *sides: Tensor) -> Tensor:
        """The features at column j, ``[n, width]``, from its own and those of the other sides."""
        self.first.write(j, concat_elu(x))
        a = self.first.read(j)
        for side in sides:
            a = torch.addmm(a, concat_elu(side), self.of_place)
        self.second.write(j, concat_elu(a))
        return x + glu(self.second.read(j), dim=1)


def _weights(layer: Normed[Pointwise]) -> tuple[Tensor, Tensor]:
    return layer.layer.kernel().detach(), layer.bias.detach()


class GatedPair(nn.Module):
    r"""Pair of gated units, one of the stream of rows and one of places; both may have a ``short`` cut from before.

    .. math:: v' = \mathrm{unit}_v(v; s_v), \qquad h' = \mathrm{unit}_h(h; v', s_h)

    with convolutions of 2x3 for :math:`v` and of 2x2, upward and to the left, for :math:`h`.

    References: Salimans et al., PixelCNN++, 2017, arXiv:1701.05517, sec. 2.3-2.5 and fig. 2.

    Shapes: `Streams` of ``[B, width, H, W]``, unchanged.
    """

    def __init__(self, width: int, short: int, dropout: float, context: int) -> None:
        super().__init__()
        rows, places = partial(RowConv, above=1, side=1), partial(CausalConv, above=1, left=1)
        self.v = GatedUnit(rows, width, short, dropout, context)
        self.h = GatedUnit(places, width, 1 + short, dropout, context)

    def forward(self, streams: Streams, *short: Streams, context: Tensor | None = None) -> Streams:
        v: Tensor = self.v(streams.v, *(cut.v for cut in short), context=context)
        return Streams(v, self.h(streams.h, v, *(cut.h for cut in short), context=context))

    def reach(self, H: int, W: int, seen: Seen, *short: Seen) -> Seen:
        """The dependencies of the features of a grid on data, from those of its input."""
        rows, places = near(H, W, self.v.first.layer.offsets), near(H, W, self.h.first.layer.offsets)
        v = through(rows, seen.v)  # type: ignore[arg-type]
        h = through(places, seen.h)
        for cut in short:
            v, h = v | cut.v, h | cut.h  # type: ignore[operator]
        v = through(rows, v)
        return Seen(v, through(places, h | v))

    def stepper(self, n: int, W: int, context: Tensor | None) -> GatedPairStepper:
        """Incremental evaluation on ``n`` images of ``W`` columns."""
        return GatedPairStepper(self, n, W, context)


class GatedPairStepper(Stepper):
    """Incremental evaluation of a gated pair on ``n`` images."""

    def __init__(self, pair: GatedPair, n: int, W: int, context: Tensor | None) -> None:
        self.v = GatedRowStepper(pair.v, n, W, context)
        self.h = GatedStepper(pair.h, n, W, context)

    def row(self, v: Tensor | None, *short: Tensor) -> Tensor:
        above = self.v.row(v, *short)  # type: ignore[arg-type]
        self.h.row(above)
        return above

    def step(self, j: int, h: Tensor, *short: Tensor) -> Tensor:
        return self.h.step(j, h, *short)
