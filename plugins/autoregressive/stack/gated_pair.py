"""Gated residual units of both streams."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from .causal_conv import CausalConv
from .gated_unit import GatedRowStepper, GatedStepper, GatedUnit
from .row_conv import RowConv
from .stepper import Stepper
from .streams import Seen, Streams, near, through


class GatedPair(nn.Module):
    r"""A gated unit of the stream of rows, and one of places beside it; both may have a ``short`` cut from before.

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
        """Which data reaches the features of a grid, from which data reaches what goes in."""
        rows, places = near(H, W, self.v.first.layer.offsets), near(H, W, self.h.first.layer.offsets)
        v = through(rows, seen.v)  # type: ignore[arg-type]
        h = through(places, seen.h)
        for cut in short:
            v, h = v | cut.v, h | cut.h  # type: ignore[operator]
        v = through(rows, v)
        return Seen(v, through(places, h | v))

    def stepper(self, n: int, W: int, context: Tensor | None) -> GatedPairStepper:
        """The pair on its way through ``n`` images of ``W`` columns."""
        return GatedPairStepper(self, n, W, context)


class GatedPairStepper(Stepper):
    """Gated units of both streams on their way through ``n`` images."""

    def __init__(self, pair: GatedPair, n: int, W: int, context: Tensor | None) -> None:
        self.v = GatedRowStepper(pair.v, n, W, context)
        self.h = GatedStepper(pair.h, n, W, context)

    def row(self, v: Tensor | None, *short: Tensor) -> Tensor:
        above = self.v.row(v, *short)  # type: ignore[arg-type]
        self.h.row(above)
        return above

    def step(self, j: int, h: Tensor, *short: Tensor) -> Tensor:
        return self.h.step(j, h, *short)
