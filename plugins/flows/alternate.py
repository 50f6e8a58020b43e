"""The checkerboard of a vector: every other element."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Shape

from .pieces import Pieces


class Alternate(Pieces):
    """Keeps the elements 0, 2, 4 ... of a vector and changes the others; with ``odd`` the other way round.

    Shapes: ``[D]`` in pieces that differ by one where D is odd; ValueError for a single element.

    >>> mask = Alternate(Shape(5), odd=False)
    >>> kept, changed = mask.split(torch.arange(5).unsqueeze(0))
    >>> kept.tolist(), changed.tolist(), mask.merge(kept, changed).tolist()
    ([[0, 2, 4]], [[1, 3]], [[0, 1, 2, 3, 4]])
    """

    def __init__(self, shape: Shape, *, odd: bool) -> None:
        evens, odds = (shape.size + 1) // 2, shape.size // 2
        if odds == 0:
            raise ValueError("needs at least two elements, not one")
        kept, changed = (odds, evens) if odd else (evens, odds)
        super().__init__(shape, Shape(kept), Shape(changed))
        self.odd = odd

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        evens, odds = x[:, ::2], x[:, 1::2]
        return (odds, evens) if self.odd else (evens, odds)

    def merge(self, kept: Tensor, changed: Tensor) -> Tensor:
        evens, odds = (changed, kept) if self.odd else (kept, changed)
        pairs = odds.shape[1]
        x = torch.stack((evens[:, :pairs], odds), dim=-1).flatten(1)
        return x if evens.shape[1] == pairs else torch.cat((x, evens[:, pairs:]), dim=1)
