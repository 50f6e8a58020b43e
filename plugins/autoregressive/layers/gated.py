"""Gated layer of Gated PixelCNN."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import AfterValidator, NonNegativeInt, PositiveInt
from torch import Tensor

from zoo import Shape, TakesContext, component

from ...nets.context_conv import Given
from ..causal.conv1x1 import Pointwise
from ..causal.layer import CausalLayer, Seen, Stepper, Streams, near, through
from ..causal.masked_conv import CausalConv, ConvStepper, odd
from ..causal.row_conv import RowConv, RowStepper


@component("gated", example={})
class Gated(CausalLayer, TakesContext):
    r"""Gated layer of Gated PixelCNN: a stream of the rows above, and one of the row, which gets input from the first.

    .. math::
        a = W_v * v, \qquad v' = \tanh(a_1 + c_1) \odot \sigma(a_2 + c_2)

    .. math::
        b = W_h * h + V a, \qquad h' = h + U\, [\tanh(b_1 + d_1) \odot \sigma(b_2 + d_2)]

    with a convolution of rows for :math:`v`, one to the left for :math:`h`, and 1x1 ones between them: together they
    see all places before, without a blind spot. :math:`c, d` are linear in the context.

    Args:
        kernel: The rows and columns of the window of which both convolutions are parts, odd.
        context: The size of a context; 0 for none.

    References: van den Oord et al., Conditional Image Generation with PixelCNN Decoders, 2016, arXiv:1606.05328, eq.
    2-4 and fig. 2.

    Shapes: `Streams` of ``[B, C, H, W]``, unchanged.
    """

    vertical = True

    def __init__(
        self,
        shape: Shape,
        colours: int = 1,
        *,
        kernel: Annotated[PositiveInt, AfterValidator(odd)] = 3,
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, colours)
        C, side = shape[0], kernel // 2
        self.context = context
        self.rows = RowConv(C, 2 * C, above=side, side=side)
        self.row = CausalConv(C, 2 * C, left=side, colours=colours)
        self.link = Pointwise(2 * C, 2 * C, bias=False)
        self.out = Pointwise(C, C, colours=colours, bias=False)
        self.given = Given(context, 4 * C) if context else None

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        v, h = streams
        a = self.rows(v)  # [B, 2 C, H, W]
        b = self.row(h) + self.link(a)  # [B, 2 C, H, W]
        if self.given is not None and context is not None:
            c, d = self.given(context).chunk(2, dim=1)
            a, b = a + c, b + d
        return Streams(gate(a), h + self.out(gate(b)))

    def reach(self, seen: Seen) -> Seen:
        _, H, W = self.shape
        v = through(near(H, W, self.rows.offsets), seen.v)  # type: ignore[arg-type]
        return Seen(v, through(near(H, W, self.row.offsets), seen.h) | v | seen.h)

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper:
        return GatedStepper(self, n, context)


class GatedStepper(Stepper):
    """Incremental evaluation of a gated layer on ``n`` images."""

    def __init__(self, layer: Gated, n: int, context: Tensor | None) -> None:
        W = layer.shape[2]
        self.rows = RowStepper(layer.rows, n, W)
        self.left = ConvStepper(layer.row, n, W)
        self.link = layer.link
        self.out = layer.out.taps()
        self.given = None if layer.given is None or context is None else layer.given.rows(context)

    def row(self, v: Tensor | None) -> Tensor | None:
        a = self.rows.row(v)  # type: ignore[arg-type]
        added = self.link(a)
        if self.given is not None:
            c, d = next(self.given).chunk(2, dim=1)
            a, added = a + c, added + d
        self.left.row(added)
        return gate(a)

    def step(self, j: int, h: Tensor) -> Tensor:
        self.left.write(j, h)
        return torch.addmm(h, gate(self.left.read(j)), self.out)


def gate(x: Tensor) -> Tensor:
    r""":math:`\tanh(x_1) \odot \sigma(x_2)` of the two halves of the channels.

    >>> gate(torch.tensor([[100.0, 0.0]]))
    tensor([[0.5000]])
    """
    a, b = x.chunk(2, dim=1)
    return torch.tanh(a) * torch.sigmoid(b)
