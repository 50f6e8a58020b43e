"""Masks of coupling layers: channels, and checkerboards of images and vectors."""

from __future__ import annotations

from abc import ABC

import torch
from torch import Tensor
from torch.nn.functional import pad

from zoo import Mask, Shape, component


class Pieces(Mask, ABC):
    """Mask whose conditioner sees only the kept piece and computes parameters only for the changed piece."""

    @property
    def seen(self) -> Shape:
        return self.kept

    def asked(self, times: int) -> Shape:
        return self.changed.channels(times)

    def show(self, kept: Tensor) -> Tensor:
        return kept

    def answer(self, h: Tensor) -> Tensor:
        return h


@component("channel")
class Channel(Pieces):
    """Mask by channels: the first half is kept and the second half is changed.

    Of an odd number of channels the first half is the larger. On a vector the channels are its elements.

    Args:
        swap: Keep the second half and change the first.

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
            raise ValueError(f"needs at least two channels, got {shape}")
        kept, changed = (second, first) if swap else (first, second)
        super().__init__(shape, shape.with_channels(kept), shape.with_channels(changed))
        self._sizes = [first, second]
        self.swap = swap

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = x.split_with_sizes(self._sizes, dim=1)
        return (second, first) if self.swap else (first, second)

    def merge(self, kept: Tensor, changed: Tensor) -> Tensor:
        return torch.cat((changed, kept) if self.swap else (kept, changed), dim=1)


class Alternate(Pieces):
    """Mask of a vector: the elements 0, 2, 4 ... are kept and the others changed; with ``odd`` the other way round.

    Shapes: ``[D]`` in pieces that differ by one where D is odd; ValueError for a single element.

    >>> mask = Alternate(Shape(5), odd=False)
    >>> kept, changed = mask.split(torch.arange(5).unsqueeze(0))
    >>> kept.tolist(), changed.tolist(), mask.merge(kept, changed).tolist()
    ([[0, 2, 4]], [[1, 3]], [[0, 1, 2, 3, 4]])
    """

    def __init__(self, shape: Shape, *, odd: bool) -> None:
        evens, odds = (shape.size + 1) // 2, shape.size // 2
        if odds == 0:
            raise ValueError("needs at least two elements, got one")
        kept, changed = (odds, evens) if odd else (evens, odds)
        super().__init__(shape, Shape(kept), Shape(changed))
        self.odd = odd

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        evens, odds = x[:, ::2], x[:, 1::2]
        return (odds, evens) if self.odd else (evens, odds)

    def merge(self, kept: Tensor, changed: Tensor) -> Tensor:
        evens, odds = (changed, kept) if self.odd else (kept, changed)
        pairs = odds.shape[1]
        x = torch.stack((evens[:, :pairs], odds), dim=-1).flatten(1)  # [B, 2 pairs]
        return x if evens.shape[1] == pairs else torch.cat((x, evens[:, pairs:]), dim=1)


class Grid(Mask):
    """Mask of an image: pixels with an even sum of row and column are kept and the others changed; ``odd`` swaps them.

    A piece holds the pixels of each row in order, ``[C, H, W/2]``. A conditioner sees the whole grid with zeros at the
    changed pixels, and the mask itself, one where a pixel is kept, as the last channel. It computes parameters for the
    whole grid, of which those at the changed pixels are used.

    Shapes: ``[C, H, W]``; ValueError unless H and W are even.

    >>> mask = Grid(Shape(1, 2, 4), odd=False)
    >>> kept, changed = mask.split(torch.arange(8).reshape(1, 1, 2, 4))
    >>> kept.tolist(), changed.tolist()
    ([[[[0, 2], [5, 7]]]], [[[[1, 3], [4, 6]]]])
    """

    def __init__(self, shape: Shape, *, odd: bool) -> None:
        C, H, W = shape
        if H % 2 or W % 2:
            raise ValueError(f"needs an even height and width, got {H}x{W}")
        super().__init__(shape, Shape(C, H, W // 2), Shape(C, H, W // 2))
        self.odd = odd

    @property
    def seen(self) -> Shape:
        return self.shape.with_channels(self.shape[0] + 1)

    def asked(self, times: int) -> Shape:
        return self.shape.channels(times)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        upper, lower = _pairs(_pairs(x, -1), 2).unbind(3)  # rows in twos, [B, C, H/2, W/2, 2] each
        (a, b), (c, d) = upper.unbind(-1), lower.unbind(-1)  # the corners of 2x2 blocks, [B, C, H/2, W/2]
        evens, odds = torch.stack((a, d), dim=3).flatten(2, 3), torch.stack((b, c), dim=3).flatten(2, 3)
        return (odds, evens) if self.odd else (evens, odds)  # [B, C, H, W/2] each

    def merge(self, kept: Tensor, changed: Tensor) -> Tensor:
        evens, odds = (changed, kept) if self.odd else (kept, changed)
        (a, d), (b, c) = _pairs(evens, 2).unbind(3), _pairs(odds, 2).unbind(3)
        upper, lower = torch.stack((a, b), dim=-1), torch.stack((c, d), dim=-1)
        return torch.stack((upper, lower), dim=3).flatten(2, 3).flatten(-2)  # [B, C, H, W]

    def show(self, kept: Tensor) -> Tensor:
        with_mask = pad(kept, (0, 0, 0, 0, 0, 1), value=1.0)  # [B, C + 1, H, W/2]
        return self.merge(with_mask, torch.zeros_like(with_mask))

    def answer(self, h: Tensor) -> Tensor:
        return self.split(h)[1]


def _pairs(x: Tensor, dim: int) -> Tensor:
    return torch.unflatten(x, dim, (-1, 2))


@component("checkerboard")
class Checkerboard(Mask):
    """Checkerboard mask: places whose coordinates have an even sum are kept and the others changed.

    On an image the coordinates are row and column, and all channels of a pixel go together; a conditioner sees the
    whole grid, zeros at the changed places, and the mask as one more channel. On a vector every other element is kept,
    and a conditioner sees only those.

    Args:
        odd: Keep the places with an odd sum and change the others.

    References: Dinh et al., Density estimation using Real NVP, 2017, arXiv:1605.08803, sec. 3.4 and fig. 3.

    Shapes: ``[C, H, W]`` with even H and W, or ``[D]`` with at least two elements; ValueError for any other.

    >>> import torch, zoo
    >>> mask = zoo.declare(zoo.Mask, "checkerboard")(zoo.Shape(1, 2, 2))
    >>> kept, changed = mask.split(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    >>> mask.show(kept).tolist()
    [[[[1.0, 0.0], [0.0, 4.0]], [[1.0, 0.0], [0.0, 1.0]]]]
    """

    def __init__(self, shape: Shape, *, odd: bool = False) -> None:
        if len(shape) not in (1, 3):
            raise ValueError(f"needs an image [C, H, W] or a vector [D], got {shape}")
        pattern = Grid(shape, odd=odd) if len(shape) == 3 else Alternate(shape, odd=odd)
        super().__init__(shape, pattern.kept, pattern.changed)
        self.pattern: Mask = pattern

    @property
    def seen(self) -> Shape:
        return self.pattern.seen

    def asked(self, times: int) -> Shape:
        return self.pattern.asked(times)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.pattern.split(x)

    def merge(self, kept: Tensor, changed: Tensor) -> Tensor:
        return self.pattern.merge(kept, changed)

    def show(self, kept: Tensor) -> Tensor:
        return self.pattern.show(kept)

    def answer(self, h: Tensor) -> Tensor:
        return self.pattern.answer(h)
