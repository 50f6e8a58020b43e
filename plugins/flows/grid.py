"""The checkerboard of an image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from zoo import Mask, Shape


class Grid(Mask):
    """Keeps the pixels with an even sum of row and column and changes the others; with ``odd`` the other way round.

    A piece has the pixels of each row side by side, ``[C, H, W/2]``. A conditioner sees the whole grid with zeros at
    the changed places and the mask itself, one where a pixel is kept, as the last channel. It answers for the whole
    grid; the changed places count.

    Shapes: ``[C, H, W]``; ValueError unless H and W are even.

    >>> mask = Grid(Shape(1, 2, 4), odd=False)
    >>> kept, changed = mask.split(torch.arange(8).reshape(1, 1, 2, 4))
    >>> kept.tolist(), changed.tolist()
    ([[[[0, 2], [5, 7]]]], [[[[1, 3], [4, 6]]]])
    """

    def __init__(self, shape: Shape, *, odd: bool) -> None:
        C, H, W = shape
        if H % 2 or W % 2:
            raise ValueError(f"needs an even height and width, not {H}x{W}")
        super().__init__(shape, Shape(C, H, W // 2), Shape(C, H, W // 2))
        self.odd = odd

    @property
    def seen(self) -> Shape:
        return self.shape.with_channels(self.shape[0] + 1)

    def asked(self, times: int) -> Shape:
        return self.shape.channels(times)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        upper, lower = _pairs(_pairs(x, -1), 2).unbind(3)
        (a, b), (c, d) = upper.unbind(-1), lower.unbind(-1)
        evens, odds = torch.stack((a, d), dim=3).flatten(2, 3), torch.stack((b, c), dim=3).flatten(2, 3)
        return (odds, evens) if self.odd else (evens, odds)

    def merge(self, kept: Tensor, changed: Tensor) -> Tensor:
        evens, odds = (changed, kept) if self.odd else (kept, changed)
        (a, d), (b, c) = _pairs(evens, 2).unbind(3), _pairs(odds, 2).unbind(3)
        upper, lower = torch.stack((a, b), dim=-1), torch.stack((c, d), dim=-1)
        return torch.stack((upper, lower), dim=3).flatten(2, 3).flatten(-2)

    def show(self, kept: Tensor) -> Tensor:
        with_mask = pad(kept, (0, 0, 0, 0, 0, 1), value=1.0)
        return self.merge(with_mask, torch.zeros_like(with_mask))

    def answer(self, h: Tensor) -> Tensor:
        return self.split(h)[1]


def _pairs(x: Tensor, dim: int) -> Tensor:
    return torch.unflatten(x, dim, (-1, 2))
