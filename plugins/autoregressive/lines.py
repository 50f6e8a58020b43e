"""Lines of cells that go over a map step by step: columns, or diagonals."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Line:
    """The cells of a line that are within the map at step t, from ``low`` to ``high``: cell l in column t - skew l.

    ``start`` is how many cells the steps before have had.
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
        """These cells of what is kept as the steps come, ``[L * T, D * C * B]``: a view."""
        cells = self.high - self.low
        return x[self.start : self.start + cells].view(D, -1, cells, B)


def lines(L: int, T: int, skew: int) -> list[Line]:
    """The steps of a line of L cells over T columns; with a ``skew`` of 1 each cell starts one later than the last."""
    found: list[Line] = []
    for t in range(T + skew * (L - 1)):
        low, high = (max(0, t - T + 1), min(L, t + 1)) if skew else (0, L)
        found.append(Line(t, low, high, found[-1].start + found[-1].high - found[-1].low if found else 0, skew))
    return found


class Heard:
    """What the cells of a line hear of the step before, above each other: ``[D, taps * h, L, B]``.

    Tap k of cell l hears cell ``l + k - left``.
    """

    def __init__(self, buffer: Tensor, n: int, left: int) -> None:
        self.buffer = buffer
        L = buffer.shape[2]
        taps = enumerate(torch.split(buffer, n, 1), -left)
        self.taps = [(off, max(0, -off), min(L, L - off), tap) for off, tap in taps]

    def at(self, line: Line) -> Tensor:
        """As the columns of a matrix, ``[D, taps * h, cells * B]``."""
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
