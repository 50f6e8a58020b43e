"""Checkerboard mask."""

from __future__ import annotations

from torch import Tensor

from zoo import Mask, Shape, component

from .alternate import Alternate
from .grid import Grid


@component("checkerboard")
class Checkerboard(Mask):
    """Keeps the places whose coordinates have an even sum and changes the others; with ``odd`` the other way round.

    On an image the coordinates are row and column, and all channels of a pixel go together; a conditioner sees the
    whole grid, zeros at the changed places, and the mask as one more channel. On a vector every other element is
    kept, and a conditioner sees just those.

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
            raise ValueError(f"needs an image [C, H, W] or a vector [D], not {shape}")
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
