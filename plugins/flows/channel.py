"""Channel-wise mask."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Shape, component

from .pieces import Pieces


@component("channel")
class Channel(Pieces):
    """Keeps the first half of the channels and changes the second; with ``swap`` the other way round.

    Of an odd number of channels the first half is the larger. On a vector the channels are its elements.

    References: Dinh et al., Density estimation using Real NVP, 2017, arXiv:1605.08803, fig. 3.

    Shapes: ``[C, H, W]`` or ``[D]`` in two pieces; ValueError for a single channel.

    >>> import torch, zoo
    >>> mask = zoo.declare(zoo.Mask, "channel")(zoo.Shape(5))
    >>> kept, changed = mask.split(torch.arange(5).unsqueeze(0))
    >>> kept.tolist(), changed.tolist()
    ([[0, 1, 2]], [[3, 4]])
    """

    def __init__(self, shape: Shape, *, swap: bool = False) -> None:
        first, second = (shape[0] + 1) // 2, shape[0] // 2
        if second == 0:
            raise ValueError(f"needs at least two channels, not {shape}")
        kept, changed = (second, first) if swap else (first, second)
        super().__init__(shape, shape.with_channels(kept), shape.with_channels(changed))
        self._sizes = [first, second]
        self.swap = swap

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = x.split_with_sizes(self._sizes, dim=1)
        return (second, first) if self.swap else (first, second)

    def merge(self, kept: Tensor, changed: Tensor) -> Tensor:
        return torch.cat((changed, kept) if self.swap else (kept, changed), dim=1)
