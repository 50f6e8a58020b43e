"""Row LSTM layer of PixelRNN."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import AfterValidator, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import conv1d

from zoo import Shape, TakesContext, component

from ...nets.context_conv import Given
from ..causal.conv1x1 import Pointwise
from ..causal.layer import CausalLayer, Seen, Stepper, Streams, through
from ..causal.masked_conv import CausalConv, ConvStepper, odd
from .scan import cell_, lstm_scan


@component("row_lstm", example={})
class RowLSTM(CausalLayer, TakesContext):
    r"""Row LSTM of PixelRNN: the states of a row depend on those of the row above, by a convolution.

    .. math::
        [o_i, f_i, i_i, g_i] = [\sigma, \sigma, \sigma, \tanh](K^{is} * x_i + K^{ss} * h_{i-1} + a_i)

    .. math:: c_i = f_i \odot c_{i-1} + i_i \odot g_i, \qquad h_i = o_i \odot \tanh(c_i), \qquad x'_i = x_i + V h_i

    for row i, with half as many features in :math:`h` as in :math:`x`. :math:`K^{is}` is masked (mask B) and
    :math:`K^{ss}` is not; :math:`a` is linear in the context. It sees a triangle, with ``kernel // 2`` columns more to
    both sides for each row above.

    Args:
        kernel: The places of the convolution, odd.
        context: The size of a context; 0 for none.

    References: van den Oord et al., Pixel Recurrent Neural Networks, 2016, arXiv:1601.06759, sec. 3.1, eq. 3, fig. 5.

    Shapes: `Streams` of ``[B, C, H, W]``, unchanged; half of C is a multiple of the colours.
    """

    def __init__(
        self,
        shape: Shape,
        colours: int = 1,
        *,
        kernel: Annotated[PositiveInt, AfterValidator(odd)] = 3,
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, colours)
        C, n = shape[0], hidden_of(shape, colours)
        self.context = context
        self.side = kernel // 2
        self.into = CausalConv(C, 4 * n, left=self.side, colours=colours)
        bound = (kernel * n) ** -0.5
        self.weight = nn.Parameter(torch.empty(1, 4 * n, kernel * n).uniform_(-bound, bound))
        self.out = Pointwise(n, C, colours=colours, bias=False)
        self.given = Given(context, 4 * n) if context else None

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        x = self.into(streams.h)
        if self.given is not None and context is not None:
            x = x + self.given(context)
        columns = x.permute(1, 3, 2, 0).unsqueeze(0).to(self.weight.dtype)  # [1, 4 n, W, H, B]: a row is a step
        h = lstm_scan(columns, self.weight, self.side, 0)[0].squeeze(0)  # [n, W, H, B]
        return Streams(streams.v, streams.h + self.out(h.permute(3, 0, 2, 1)))

    def reach(self, seen: Seen) -> Seen:
        _, H, W = self.shape
        rows, columns = torch.arange(H, device="cpu"), torch.arange(W, device="cpu")
        up = (rows.unsqueeze(1) - rows)[:, None, :, None]  # [H, 1, H, 1]
        right = (columns - columns.unsqueeze(1))[None, :, None, :]  # [1, W, 1, W]
        triangle = (up >= 0) & (right <= up * self.side) & (right >= -(up + 1) * self.side)
        return Seen(seen.v, through(triangle.flatten(2).flatten(0, 1), seen.h))

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper:
        return RowLSTMStepper(self, n, context)


class RowLSTMStepper(Stepper):
    """Incremental evaluation of a row LSTM on ``n`` images."""

    def __init__(self, layer: RowLSTM, n: int, context: Tensor | None) -> None:
        W, hidden = layer.shape[2], layer.out.conv.in_channels
        self.into = ConvStepper(layer.into, n, W)
        self.side = layer.side
        self.weight = torch.unflatten(layer.weight.detach()[0], 1, (-1, hidden)).transpose(1, 2)  # [4 h, h, kernel]
        self.out = layer.out.taps()
        self.given = None if layer.given is None or context is None else layer.given.rows(context)
        self.states = self.out.new_zeros(W, n, hidden)
        self.h = self.states.unbind(0)
        self.before, self.c = (torch.zeros_like(self.states).unbind(0) for _ in range(2))

    def row(self, v: Tensor | None) -> Tensor | None:
        self.before, self.c = self.c, self.before
        added = conv1d(self.states.permute(1, 2, 0), self.weight, padding=self.side).unsqueeze(2)  # [n, 4 h, 1, W]
        self.into.row(added if self.given is None else added + next(self.given))
        return v

    def step(self, j: int, h: Tensor) -> Tensor:
        self.into.write(j, h)
        cell_(self.into.read(j), self.before[j], self.c[j], self.h[j])
        return torch.addmm(h, self.h[j], self.out)


def hidden_of(shape: Shape, colours: int) -> int:
    """The features of a state, half of those of the layer; ValueError if they cannot be divided into colours.

    >>> hidden_of(Shape(12, 8, 8), 3)
    6
    """
    if shape[0] % (2 * colours):
        raise ValueError(
            f"its states have half of the channels: a width of {shape[0]} is not a multiple of {2 * colours}"
        )
    return shape[0] // 2
