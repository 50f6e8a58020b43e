"""Gated residual unit of one stream, whatever the convolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, glu

from .causal_conv import CausalConv, ConvStepper
from .concat_elu import concat_elu
from .given import Given
from .normed import Normed
from .pointwise import Pointwise
from .row_conv import RowConv, RowStepper

C = TypeVar("C", CausalConv, RowConv)


class GatedUnit(nn.Module, Generic[C]):
    r"""Two convolutions, of which the first hears of other streams and the second is gated, around a residual.

    .. math::
        a = W_1 * \phi(x) + U\, \phi(s), \qquad (b, c) = W_2 * \phi(a) + V e, \qquad x' = x + b \odot \sigma(c)

    with :math:`\phi` that takes both signs (`concat_elu`), :math:`s` the channels of as many ``sides`` and :math:`e`
    the ``context``; dropout is on :math:`\phi(a)`. All convolutions are weight-normalised; after the first batch
    :math:`(b, c)` has standard deviation 0.1.

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
        y = self.second(self.dropout(concat_elu(a)))
        if self.given is not None and context is not None:
            y = y + self.given(context)
        return x + glu(y, dim=1)


class GatedRowStepper:
    """A gated unit of the stream of rows, on its way down ``n`` images of ``W`` columns."""

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
    """A gated unit of the stream of places, whose first side is that of rows, on its way through ``n`` images."""

    def __init__(self, unit: GatedUnit[CausalConv], n: int, W: int, context: Tensor | None) -> None:
        self.first = ConvStepper(unit.first.layer, n, W)
        self.second = ConvStepper(unit.second.layer, n, W)
        weight, self.bias = _weights(unit.beside)  # type: ignore[arg-type]
        channels = 2 * weight.shape[0]
        self.of_row, of_place = weight[:, :channels], weight[:, channels:]
        self.of_place = of_place.flatten(1).t().contiguous()
        self.given = None if unit.given is None or context is None else unit.given.rows(context)

    def row(self, v: Tensor) -> None:
        """Go to the next row, of which the stream of rows is known, ``[n, width, 1, W]``."""
        self.first.row(conv2d(concat_elu(v), self.of_row, self.bias))
        self.second.row(None if self.given is None else next(self.given))

    def step(self, j: int, x: Tensor, *sides: Tensor) -> Tensor:
        """What is at column j, ``[n, width]``, from its own and the other sides' there."""
        self.first.write(j, concat_elu(x))
        a = self.first.read(j)
        for side in sides:
            a = torch.addmm(a, concat_elu(side), self.of_place)
        self.second.write(j, concat_elu(a))
        return x + glu(self.second.read(j), dim=1)


def _weights(layer: Normed[Pointwise]) -> tuple[Tensor, Tensor]:
    return layer.layer.kernel().detach(), layer.bias.detach()
