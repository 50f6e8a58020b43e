"""Scan of a convolutional LSTM over the lines of a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@torch.library.custom_op("zoo::lstm_scan", mutates_args=())
def lstm_scan(x: Tensor, W: Tensor, left: int, skew: int) -> tuple[Tensor, Tensor, Tensor]:
    r"""States of an LSTM whose line of cells moves over a map, with the gates and the memories: ``(h, gates, c)``.

    .. math::
        [o_t, f_t, i_t, g_t] = [\sigma, \sigma, \sigma, \tanh](x_t + W * h_{t-1}), \qquad
        c_t = f_t \odot c_{t-1} + i_t \odot g_t, \qquad h_t = o_t \odot \tanh(c_t)

    from zeros, with a convolution along the line whose first tap is the cell ``left`` places before. At step t cell l
    is in column ``t - skew * l``: lines are columns, or diagonals if ``skew`` is 1. The backward pass is written by
    hand: autograd would need a dozen nodes for each step, and several times the memory traffic.

    References: van den Oord et al., Pixel Recurrent Neural Networks, 2016, arXiv:1601.06759, eq. 3 and fig. 3.

    Shapes: x ``[D, 4 h, L, T, B]``, D maps with weights of their own in W ``[D, 4 h, taps * h]``, to ``[D, h, L, T,
    B]``; gates and memories in the order of the steps, ``[L * T, ...]`` each.
    """
    D, channels, L, T, B = x.shape
    n = channels // 4
    h = x.new_empty(D, n, L, T, B)
    gates, c = x.new_empty(L * T, D * channels * B), x.new_empty(L * T, D * n * B)
    inputs, memory = Taps(x.new_zeros(D, W.shape[2], L, B), n, left), x.new_zeros(D, n, L, B)
    state = torch.empty_like(memory)
    for line in lines(L, T, skew):
        gates_t, c_t = line.block(gates, D, B), line.block(c, D, B)
        gates_t.copy_(line.cut(x))
        gates_t.flatten(2).baddbmm_(W, inputs.at(line))
        before, h_t = line.of(memory), line.of(state)
        cell_(gates_t, before, c_t, h_t)
        before.copy_(c_t)
        line.cut(h).copy_(h_t)
        inputs.write(line, h_t)
    return h, gates, c


def cell_(gates: Tensor, before: Tensor, c: Tensor, h: Tensor) -> None:
    """One step of LSTM cells, in place: sums ``[D, 4 h, ...]`` become gates, and ``c`` and ``h`` follow ``before``.

    >>> gates, c, h = torch.tensor([[0.0, 0.0, 99.0, 99.0]]), torch.empty(1, 1), torch.empty(1, 1)
    >>> cell_(gates, torch.ones(1, 1), c, h)
    >>> gates, c, h
    (tensor([[0.5000, 0.5000, 1.0000, 1.0000]]), tensor([[1.5000]]), tensor([[0.4526]]))
    """
    n = c.shape[1]
    gates[:, : 3 * n].sigmoid_()
    gates[:, 3 * n :].tanh_()
    o, f, i, g = gates.split_with_sizes([n, n, n, n], 1)
    torch.mul(f, before, out=c)
    c.addcmul_(i, g)
    torch.tanh(c, out=h)
    h.mul_(o)


@lstm_scan.register_fake
def _shapes(x: Tensor, W: Tensor, left: int, skew: int) -> tuple[Tensor, Tensor, Tensor]:
    D, channels, L, T, B = x.shape
    h = x.new_empty(D, channels // 4, L, T, B)
    return h, x.new_empty(L * T, D * channels * B), x.new_empty(L * T, D * (channels // 4) * B)


@torch.library.custom_op("zoo::lstm_scan_backward", mutates_args=())
def _scan_back(
    grad: Tensor, W: Tensor, h: Tensor, gates: Tensor, c: Tensor, left: int, skew: int
) -> tuple[Tensor, Tensor]:
    D, n, L, T, B = h.shape
    gx, gW, Wt = h.new_empty(D, 4 * n, L, T, B), torch.zeros_like(W), W.mT.contiguous()
    gh, gc, memory = (h.new_zeros(D, n, L, B) for _ in range(3))
    inputs = Taps(h.new_zeros(D, W.shape[2], L, B), n, left)
    ginputs = Taps(torch.zeros_like(inputs.buffer), n, left)
    steps = lines(L, T, skew)
    for line, previous in zip(reversed(steps), [*steps[-2::-1], None], strict=True):
        memory.zero_()
        if previous is None:
            inputs.buffer.zero_()
        else:
            previous.of(memory).copy_(previous.block(c, D, B))
            inputs.write(previous, previous.cut(h))
        gates_t, gh_t = line.block(gates, D, B), line.of(gh) + line.cut(grad)
        sums = torch.empty_like(gates_t)
        _cell_back_(sums, gates_t, line.of(memory), line.block(c, D, B), gh_t, line.of(gc))
        line.cut(gx).copy_(sums)
        columns = sums.flatten(2)
        gW.baddbmm_(columns, inputs.at(line).mT)
        ginputs.buffer.zero_()
        line.of(ginputs.buffer).copy_(torch.bmm(Wt, columns).view(D, -1, *sums.shape[2:]))
        ginputs.read(gh)
    return gx, gW


def _cell_back_(sums: Tensor, gates: Tensor, before: Tensor, c: Tensor, gh: Tensor, gc: Tensor) -> None:
    """The gradient of the sums, from that of the state; ``gc``, that of the memory, becomes the one of ``before``."""
    n = c.shape[1]
    o, f, i, g = gates.split_with_sizes([n, n, n, n], 1)
    go, gf, gi, gg = sums.split_with_sizes([n, n, n, n], 1)
    tanh_c = torch.tanh(c)
    torch.mul(gh, tanh_c, out=go)
    gc.add_(torch.ops.aten.tanh_backward(gh.mul_(o), tanh_c))
    torch.mul(gc, before, out=gf)
    torch.mul(gc, g, out=gi)
    torch.mul(gc, i, out=gg)
    gc.mul_(f)
    sigmoids = sums[:, : 3 * n]
    torch.ops.aten.sigmoid_backward.grad_input(sigmoids, gates[:, : 3 * n], grad_input=sigmoids)
    torch.ops.aten.tanh_backward.grad_input(gg, g, grad_input=gg)


@_scan_back.register_fake
def _gradient_shapes(
    grad: Tensor, W: Tensor, h: Tensor, gates: Tensor, c: Tensor, left: int, skew: int
) -> tuple[Tensor, Tensor]:
    D, n, L, T, B = h.shape
    return h.new_empty(D, 4 * n, L, T, B), torch.empty_like(W)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    _x, W, ctx.left, ctx.skew = inputs
    ctx.save_for_backward(W, *output)


def _backward(ctx: Any, grad: Tensor, _gates: Tensor, _c: Tensor) -> tuple[Tensor, Tensor, None, None]:
    gx, gW = _scan_back(grad, *ctx.saved_tensors, ctx.left, ctx.skew)
    return gx, gW, None, None


lstm_scan.register_autograd(_backward, setup_context=_keep)


@dataclass(frozen=True)
class Line:
    """Cells of a line within the map at step t, from ``low`` to ``high``: cell l is in column t - skew l.

    ``start`` is the number of cells of the steps before.
    """

    t: int
    low: int
    high: int
    start: int
    skew: int

    def of(self, x: Tensor) -> Tensor:
        """These cells of whole lines, ``[D, C, L, B]``: a view ``[D, C, cells, B]``."""
        return x[:, :, self.low : self.high]

    def cut(self, x: Tensor) -> Tensor:
        """These cells of a map, ``[D, C, L, T, B]``: a view.

        >>> x = torch.arange(6).reshape(1, 1, 2, 3, 1)
        >>> [line.cut(x).flatten().tolist() for line in lines(2, 3, skew=1)]
        [[0], [1, 3], [2, 4], [5]]
        """
        d, c, line, column, b = x.stride()
        start = self.low * line + (self.t - self.skew * self.low) * column
        sizes = (*x.shape[:2], self.high - self.low, x.shape[4])
        return x.as_strided(sizes, (d, c, line - self.skew * column, b), x.storage_offset() + start)

    def block(self, x: Tensor, D: int, B: int) -> Tensor:
        """These cells of a tensor in the order of the steps, ``[L * T, D * C * B]``: a view."""
        cells = self.high - self.low
        return x[self.start : self.start + cells].view(D, -1, cells, B)


def lines(L: int, T: int, skew: int) -> list[Line]:
    """The steps of a line of L cells over T columns; with a ``skew`` of 1 each cell starts one later than the last."""
    found: list[Line] = []
    for t in range(T + skew * (L - 1)):
        low, high = (max(0, t - T + 1), min(L, t + 1)) if skew else (0, L)
        found.append(Line(t, low, high, found[-1].start + found[-1].high - found[-1].low if found else 0, skew))
    return found


class Taps:
    """Inputs of the cells of a line from the step before, concatenated over taps: ``[D, taps * h, L, B]``.

    Tap k of cell l reads cell ``l + k - left``.
    """

    def __init__(self, buffer: Tensor, n: int, left: int) -> None:
        self.buffer = buffer
        L = buffer.shape[2]
        taps = enumerate(torch.split(buffer, n, 1), -left)
        self.taps = [(off, max(0, -off), min(L, L - off), tap) for off, tap in taps]

    def at(self, line: Line) -> Tensor:
        """The inputs as the columns of a matrix, ``[D, taps * h, cells * B]``."""
        return line.of(self.buffer).flatten(2)

    def write(self, line: Line, h: Tensor) -> None:
        """The states of a line, ``[D, h, cells, B]``, and zeros beyond."""
        self.buffer.zero_()
        for off, low, high, tap in self.taps:
            first, last = max(low, line.low - off), min(high, line.high - off)
            if first < last:
                tap[:, :, first:last] = h[:, :, first + off - line.low : last + off - line.low]

    def read(self, h: Tensor) -> None:
        """The transpose of `write`, of whole lines ``[D, h, L, B]``."""
        h.zero_()
        for off, low, high, tap in self.taps:
            if low < high:
                h[:, :, low + off : high + off] += tap[:, :, low:high]
