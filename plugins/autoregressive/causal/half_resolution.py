"""Causal layers at half the height and width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from .layer import Seen, Stepper, Streams, halving, through
from .masked_conv import CausalConv, ConvStepper
from .row_conv import RowConv, RowStepper
from .upsample_conv import UpConv, UpRowStepper, UpStepper
from .weight_norm import Normed


class Grid(Protocol):
    """Protocol of the layers of one grid: an ``nn.Module`` from `Streams` to `Streams`."""

    def __call__(self, streams: Streams, context: Tensor | None) -> Streams: ...

    def reach(self, H: int, W: int, seen: Seen) -> Seen: ...

    def stepper(self, n: int, W: int, context: Tensor | None) -> Stepper: ...


class Halved(nn.Module):
    """Layers on a grid of half the height and width, with both streams down to it and up again.

    The down-sampling convolution lies on the first of the four places that become one, and sees that place and those
    above and to the left; the up-sampling one goes from there to the four. A ``context`` map is taken at the same
    places.

    References: Salimans et al., PixelCNN++, 2017, arXiv:1701.05517, sec. 2.3.

    Shapes: `Streams` of ``[B, width, H, W]``, unchanged; H and W are even.
    """

    def __init__(self, width: int, inner: Grid) -> None:
        super().__init__()
        self.down_v = Normed(RowConv(width, width, above=1, side=1, stride=2))
        self.down_h = Normed(CausalConv(width, width, above=1, left=1, stride=2))
        self.inner = inner
        self.up_v = Normed(UpConv(width, left=1))
        self.up_h = Normed(UpConv(width))

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        v, h = self.inner(Streams(self.down_v(streams.v), self.down_h(streams.h)), _halved(context))
        return Streams(self.up_v(v), self.up_h(h))

    def reach(self, H: int, W: int, seen: Seen) -> Seen:
        """The dependencies of the features of the larger grid on data."""
        down_v, down_h = (halving(H, W, conv.layer.offsets) for conv in (self.down_v, self.down_h))
        up_v, up_h = (halving(H, W, conv.layer.offsets).t() for conv in (self.up_v, self.up_h))
        below = Seen(through(down_v, seen.v), through(down_h, seen.h))  # type: ignore[arg-type]
        v, h = self.inner.reach(H // 2, W // 2, below)
        return Seen(through(up_v, v), through(up_h, h))  # type: ignore[arg-type]

    def stepper(self, n: int, W: int, context: Tensor | None) -> HalvedStepper:
        """Incremental evaluation on ``n`` images of ``W`` columns."""
        return HalvedStepper(self, n, W, context)


class HalvedStepper(Stepper):
    """Incremental evaluation at half the height and width: computed at every second row and column, cached at the
    others.
    """

    def __init__(self, halved: Halved, n: int, W: int, context: Tensor | None) -> None:
        self.down_v = RowStepper(halved.down_v.layer, n, W)
        self.down_h = ConvStepper(halved.down_h.layer, n, W)
        self.inner = halved.inner.stepper(n, W // 2, _halved(context))
        self.up_v = UpRowStepper(halved.up_v.layer)
        self.up_h = UpStepper(halved.up_h.layer)
        self.below = True
        self.rows: Sequence[Tensor] = ()
        self.patches: dict[int, Sequence[Tensor]] = {}

    def row(self, v: Tensor | None) -> Tensor | None:
        self.below = not self.below
        down = self.down_v.row(v)  # type: ignore[arg-type]
        self.down_h.row()
        if not self.below:
            self.rows = self.up_v.rows(self.inner.row(down))  # type: ignore[arg-type]
        return self.rows[self.below]

    def step(self, j: int, h: Tensor) -> Tensor:
        self.down_h.write(j, h)
        if not self.below and j % 2 == 0:
            self.patches[j // 2] = self.up_h.patch(self.inner.step(j // 2, self.down_h.read(j)))
        return self.patches[j // 2][2 * self.below + j % 2]


def _halved(context: Tensor | None) -> Tensor | None:
    return context if context is None or context.dim() == 2 else context[..., ::2, ::2]
