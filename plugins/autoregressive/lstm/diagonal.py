"""Diagonal BiLSTM layer of PixelRNN."""

from __future__ import annotations

import torch
from pydantic import NonNegativeInt
from torch import Tensor, nn
from torch.nn.functional import pad

from zoo import Shape, TakesContext, component

from ...nets.context_conv import Given
from ..causal.conv1x1 import Pointwise
from ..causal.layer import CausalLayer, Seen, Stepper, Streams, through
from .row import hidden_of
from .scan import cell_, lstm_scan


@component("diagonal_bilstm", example={})
class DiagonalBiLSTM(CausalLayer, TakesContext):
    r"""Diagonal BiLSTM of PixelRNN: each state depends on those to its side and above, from the left and from the
    right.

    .. math::
        [o, f, i, g]_{ij} = [\sigma, \sigma, \sigma, \tanh](K^{is} x_{ij} + K^{ss}_1 h_{i-1, j} + K^{ss}_2 h_{i, j-1}
        + a_{ij})

    .. math:: c_{ij} = f \odot c_{i, j-1} + i \odot g, \qquad h_{ij} = o \odot \tanh(c_{ij})

    is :math:`h^{(1)}`, and of the image's mirror image, mirrored again, :math:`h^{(2)}`. The second one has seen the
    right of its row, and so is shifted down by a row:

    .. math:: x'_{ij} = x_{ij} + V (h^{(1)}_{ij} + h^{(2)}_{i-1, j})

    One layer sees the features of all places before. The states of a diagonal are computed at once, from those of the
    diagonal before: they are the columns of a skewed view of the map. There are half as many features in :math:`h` as
    in :math:`x`; :math:`K^{is}` is masked (mask B); :math:`a` is linear in the context.

    Args:
        context: The size of a context; 0 for none.

    References: van den Oord et al., Pixel Recurrent Neural Networks, 2016, arXiv:1601.06759, sec. 3.2, eq. 3, fig. 3
    and 5.

    Shapes: `Streams` of ``[B, C, H, W]``, unchanged; half of C is a multiple of the colours.
    """

    def __init__(self, shape: Shape, colours: int = 1, *, context: NonNegativeInt = 0) -> None:
        super().__init__(shape, colours)
        C, n = shape[0], hidden_of(shape, colours)
        self.context = context
        self.into = Pointwise(C, 8 * n, colours=colours)
        bound = (2 * n) ** -0.5
        self.weight = nn.Parameter(torch.empty(2, 4 * n, 2 * n).uniform_(-bound, bound))
        self.out = Pointwise(n, C, colours=colours, bias=False)
        self.given = Given(context, 8 * n) if context else None

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        _, H, W = self.shape
        x = streams.h.permute(1, 2, 3, 0)  # [C, H, W, B]
        kernel, bias = both_ways(self.into)
        both = torch.stack([x, x.flip(2)]).flatten(2)  # [2, C, H * W * B]
        sums = torch.unflatten(torch.baddbmm(bias, kernel, both), 2, (H, W, -1))  # [2, 4 n, H, W, B]
        if self.given is not None and context is not None:
            first, second = self.given(context).permute(1, 2, 3, 0).chunk(2)
            sums = sums + torch.stack([first, second.flip(2)])
        first, second = lstm_scan(sums.to(self.weight.dtype), self.weight, 1, 1)[0].unbind(0)  # [n, H, W, B] each
        h = first + pad(second.flip(2)[:, :-1], (0, 0, 0, 0, 1, 0))  # [n, H, W, B]
        return Streams(streams.v, streams.h + self.out(h.permute(3, 0, 1, 2)))

    def reach(self, seen: Seen) -> Seen:
        P = seen.h.shape[0]
        return Seen(seen.v, through(torch.ones(P, P, dtype=torch.bool, device="cpu").tril(), seen.h))

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper:
        return DiagonalStepper(self, n, context)


class DiagonalStepper(Stepper):
    """Incremental evaluation of a diagonal BiLSTM on ``n`` images: from the left by place, from the right by row."""

    def __init__(self, layer: DiagonalBiLSTM, n: int, context: Tensor | None) -> None:
        C, _, W = layer.shape
        hidden = layer.out.conv.in_channels
        kernel, bias = both_ways(layer.into)
        self.left, right = torch.cat([kernel, layer.weight], 2).detach().transpose(1, 2).contiguous()
        self.right, self.from_right = right[: C + hidden], right[C + hidden :]
        self.bias = bias.detach().reshape(1, 1, -1)
        self.given = None if layer.given is None or context is None else layer.given.rows(context)
        self.out = layer.out.taps()
        self.inputs = self.out.new_zeros(W + 1, n, C + 2 * hidden)  # x, the state above, the state to the left
        self.x, self.above, left = self.inputs.split_with_sizes([C, hidden, hidden], 2)
        self.at, self.x_at, self.left_at = self.inputs.unbind(0), self.x.unbind(0), left.unbind(0)
        self.states = self.out.new_zeros(W, n, hidden)
        self.h = self.states.unbind(0)
        self.c = self.out.new_zeros(W + 1, n, hidden).unbind(0)
        self.below = torch.zeros_like(self.states)
        self.h_right = self.below.unbind(0)
        self.base: tuple[Tensor, ...] = ()
        self.added: Tensor | None = None

    def row(self, v: Tensor | None) -> Tensor | None:
        W, n, _ = self.states.shape
        if self.added is not None:
            self._scan(self.added)
        self.above[:-1] = self.states
        added = self.bias
        if self.given is not None:
            added = added + next(self.given).squeeze(2).permute(2, 0, 1)
        base, self.added = added.chunk(2, dim=2)  # [1 or W, 1 or n, 4 h] each
        self.base = base.expand(W, n, -1).contiguous().unbind(0)
        return v

    def step(self, j: int, h: Tensor) -> Tensor:
        self.x_at[j].copy_(h)
        cell_(torch.addmm(self.base[j], self.at[j], self.left), self.c[j], self.c[j + 1], self.h[j])
        self.left_at[j + 1].copy_(self.h[j])
        return torch.addmm(h, self.h[j] + self.h_right[j], self.out)

    def _scan(self, added: Tensor) -> None:
        """The states from the right of the row that is complete, for the row below it."""
        sums = added + torch.cat([self.x[:-1], self.below], 2) @ self.right  # [W, n, 4 h]
        h, c = torch.zeros_like(self.below[0]), torch.zeros_like(self.below[0])
        for j in reversed(range(sums.shape[0])):
            cell_(torch.addmm(sums[j], h, self.from_right), c, c, self.h_right[j])
            h = self.h_right[j]


def both_ways(layer: Pointwise) -> tuple[Tensor, Tensor]:
    """The weights from the left and from the right, ``[2, 4 h, C]``, and the biases, ``[2, 4 h, 1]``.

    >>> [tuple(x.shape) for x in both_ways(Pointwise(2, 8))]
    [(2, 4, 2), (2, 4, 1)]
    """
    bias: Tensor = layer.conv.bias  # type: ignore[assignment]
    return torch.unflatten(layer.kernel().flatten(1), 0, (2, -1)), bias.reshape(2, -1, 1)
