"""Convolution over whole rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from .fast_conv import conv
from .layer import Offsets


class RowConv(nn.Module):
    r"""Convolution over its own row and the ``above`` rows above, ``side`` columns to both sides.

    It is for the vertical stream, which at a row does not depend on that row's data. A ``strict`` one takes data
    instead, and does not see its own row. With a ``stride`` of two it computes every second row and column, from the
    first, and so on.

    References: van den Oord et al., Conditional Image Generation with PixelCNN Decoders, 2016, arXiv:1606.05328, sec.
    2.2.

    Shapes: ``[B, in, H, W] -> [B, out, H, W]``.

    >>> tuple(RowConv(1, 1, above=1, side=1)(torch.zeros(2, 1, 4, 5)).shape)
    (2, 1, 4, 5)
    """

    def __init__(
        self, before: int, after: int, *, above: int, side: int, strict: bool = False, stride: int = 1
    ) -> None:
        super().__init__()
        rows = above if strict else above + 1
        if rows < 1:
            raise ValueError("it depends on no input: use a kernel of three or more")
        self.conv = nn.Conv2d(before, after, (rows, 2 * side + 1), stride=stride)
        self.above, self.side = above, side
        self.last = -1 if strict else 0
        self.offsets: Offsets = [(-d, e) for d in range(1 if strict else 0, above + 1) for e in range(-side, side + 1)]

    def forward(self, x: Tensor) -> Tensor:
        x = pad(x, (self.side, self.side, self.above, self.last))  # [B, in, H + above, W + 2 side], strict one row less
        return conv(x, self.conv.weight, self.conv.bias, self.conv.stride)  # type: ignore[arg-type]


class RowStepper:
    """Incremental evaluation of a convolution over rows on ``n`` images."""

    def __init__(self, conv: RowConv, n: int, W: int) -> None:
        self.weight, bias = conv.conv.weight.detach(), conv.conv.bias
        self.bias = None if bias is None else bias.detach()
        self.side, self.stride = conv.side, conv.conv.stride
        self.rows = self.weight.new_zeros(n, conv.conv.in_channels, self.weight.shape[2], W)

    def row(self, x: Tensor) -> Tensor:
        """The output at the next row, ``[n, out, 1, W]``, from the last input row that it sees, ``[n, in, 1, W]``."""
        self.rows = torch.cat([self.rows[:, :, 1:], x], dim=2)  # [n, in, rows, W]
        return conv2d(pad(self.rows, (self.side, self.side)), self.weight, self.bias, self.stride)
