"""Window attention on a grid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from .attention import Attention
from .kv_cache import KVCache
from .masks import blocks
from .positions import Rotation


class Windows(nn.Module):
    """Window attention: each token of a grid attends to those of its window.

    With a ``shift`` the windows start that far from the first corner; tokens of opposite borders of the grid that the
    shift puts in one window do not see each other. A grid that is not a multiple of the window is padded with zeros,
    which are attended to, as in Swin and SAM.

    Args:
        attention: Of the tokens of a window; its ``relative`` is of the window's size.
        grid: Sizes of the grid.
        window: Sizes of a window.
        shift: Of the windows along each axis; by default none.

    References: Liu et al., Swin Transformer, 2021, arXiv:2103.14030, sec. 3.2 and fig. 4.

    Shapes: ``[B, N, width]``, unchanged, N the cells of the grid; ValueError for a window with other axes than the
    grid, or a shift that is not below the window.

    >>> windows = Windows(Attention(8, 2), grid=(4, 6), window=(2, 3), shift=(1, 1))
    >>> windows(torch.zeros(1, 24, 8)).shape
    torch.Size([1, 24, 8])
    """

    mask: Tensor | None

    def __init__(
        self, attention: Attention, grid: Sequence[int], window: Sequence[int], shift: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        shift = tuple(shift or [0] * len(grid))
        if not len(grid) == len(window) == len(shift):
            raise ValueError(f"grid {tuple(grid)}, window {tuple(window)} and shift {shift} must have the same axes")
        if any(not 0 <= by < size for by, size in zip(shift, window, strict=True)):
            raise ValueError(f"the shift {shift} must be below the window {tuple(window)}")
        self.attention = attention
        self.grid, self.window, self.shift = tuple(grid), tuple(window), shift
        self.missing = tuple(-size % part for size, part in zip(grid, window, strict=True))
        self.axes = tuple(range(1, len(grid) + 1))
        self.register_buffer("mask", self._mask() if any(shift) else None, persistent=False)

    def forward(
        self, x: Tensor, *, mask: Tensor | None = None, turn: Rotation | None = None, cache: KVCache | None = None
    ) -> Tensor:
        if mask is not None or cache is not None:
            raise ValueError("attention within windows supports no mask and no cache")
        B = x.shape[0]
        x = torch.unflatten(x, 1, self.grid)  # [B, *grid, C]
        if any(self.missing):
            x = pad(x, [0, 0, *(n for size in reversed(self.missing) for n in (0, size))])
        if any(self.shift):
            x = x.roll([-by for by in self.shift], self.axes)
        counts = [size // part for size, part in zip(x.shape[1:-1], self.window, strict=True)]
        seen = None if self.mask is None else self.mask.repeat(B, 1, 1, 1)  # [B windows, 1, n, n]
        x = self.attention(self._cut(x), mask=seen, turn=turn)
        x = self._join(x, B, counts)
        if any(self.shift):
            x = x.roll(self.shift, self.axes)
        for axis, size in zip(self.axes, self.grid, strict=True):
            x = x.narrow(axis, 0, size)
        return x.flatten(1, -2)  # [B, N, C]

    def _cut(self, x: Tensor) -> Tensor:
        """``[B, *grid, C] -> [B windows, n, C]``."""
        axes = len(self.window)
        for axis in reversed(self.axes):
            x = torch.unflatten(x, axis, (-1, self.window[axis - 1]))  # [B, g1, w1, g2, w2, C]
        x = x.permute(0, *range(1, 2 * axes, 2), *range(2, 2 * axes + 1, 2), -1)
        return x.flatten(axes + 1, 2 * axes).flatten(0, axes)

    def _join(self, x: Tensor, B: int, counts: Sequence[int]) -> Tensor:
        """``[B windows, n, C] -> [B, *grid, C]``."""
        axes = len(self.window)
        x = torch.unflatten(torch.unflatten(x, 1, self.window), 0, (B, *counts))  # [B, g1, g2, w1, w2, C]
        x = x.permute(0, *(i for axis in self.axes for i in (axis, axis + axes)), -1)
        for axis in self.axes:
            x = x.flatten(axis, axis + 1)
        return x

    def _mask(self) -> Tensor:
        """Which cells of each window see each other, ``[windows, 1, n, n]``: those of the same region of the grid."""
        region = torch.zeros(1, dtype=torch.int64, device="cpu")
        for size, missing, window, shift in zip(self.grid, self.missing, self.window, self.shift, strict=True):
            at = torch.arange(size + missing, device="cpu")
            part = (at >= size + missing - window).long() + (at >= size + missing - shift).long()
            region = region.unsqueeze(-1) * 3 + (part if shift else torch.zeros_like(part))
        return blocks(self._cut(region.unsqueeze(-1)).squeeze(-1))
