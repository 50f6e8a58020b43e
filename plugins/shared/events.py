"""Data with levels and labels: their number, and the conversion of numbers to levels."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Event


def classes_of(event: Event) -> int:
    """The number of classes of an event; ValueError if it has none.

    >>> from zoo import Shape
    >>> classes_of(Event("image", Shape(1, 8, 8), classes=10))
    10
    """
    if event.classes is None:
        raise ValueError(f"'{event.name}' has no labels")
    return event.classes


def levels_of(event: Event, at_most: int | None = None) -> int:
    """The number of levels of data; ValueError for continuous data, for one level, and for more than ``at_most``.

    >>> import zoo
    >>> levels_of(Event("image", zoo.Shape(1, 2, 2), levels=256))
    256
    """
    if event.levels is None:
        raise ValueError(
            f"needs levels, but '{event.name}' is continuous: use a density, such as 'gaussian' or a 'flow'"
        )
    if event.levels < 2:
        raise ValueError(f"needs two levels or more, but '{event.name}' has {event.levels}")
    if at_most is not None and event.levels > at_most:
        raise ValueError(f"takes up to {at_most} levels, but '{event.name}' has {event.levels}")
    return event.levels


def nearest_level(x: Tensor, levels: int) -> Tensor:
    """The level nearest to each number, as integers: uint8 if they fit.

    >>> nearest_level(torch.tensor([-3.0, 1.6, 300.0]), 256)
    tensor([  0,   2, 255], dtype=torch.uint8)
    """
    return x.round().clamp(0, levels - 1).to(torch.uint8 if levels <= 256 else torch.int64)


def as_data(x: Tensor, event: Event) -> Tensor:
    """Numbers on the scale of `Event.unit` as data: the nearest level for data with levels, else unchanged.

    >>> import zoo
    >>> as_data(torch.tensor([[0.3, 1.2]]), Event("row", zoo.Shape(2), levels=11))
    tensor([[ 3, 10]], dtype=torch.uint8)
    """
    return x if event.levels is None else nearest_level(x * (event.levels - 1), event.levels)


def to_levels(v: Tensor, levels: int) -> Tensor:
    """The integers ``0 ... levels - 1`` whose bins numbers in [0, 1] fall into: uint8 up to 256 levels, int64 beyond.

    Numbers outside get the nearest level.

    >>> to_levels(torch.tensor([-0.1, 0.0, 0.49, 0.5, 1.0]), 4)
    tensor([0, 0, 1, 2, 3], dtype=torch.uint8)
    """
    x = (v * levels).floor().clamp(0, levels - 1)
    return x.to(torch.uint8 if levels <= 256 else torch.int64)


def evenly(count: int, most: int) -> list[int]:
    """At most so many of the numbers below ``count``, evenly spaced, the first and the last among them.

    >>> evenly(101, 5), evenly(3, 8)
    ([0, 25, 50, 75, 100], [0, 1, 2])
    """
    n = min(count, max(most, 2))
    return [round(i * (count - 1) / max(n - 1, 1)) for i in range(n)]
