"""The shape of one event, without the batch: a value, not a tuple."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, init=False)
class Shape:
    """The sizes of one event: ``(C, H, W)`` for an image, ``(D,)`` for a vector, ``()`` for a single number.

    A tuple times two is six numbers, silently; here the channels are doubled by name.

    >>> Shape(3, 8, 8).channels(2)
    Shape(6, 8, 8)
    >>> Shape(3, 8, 8).size, len(Shape(3, 8, 8)), tuple(Shape(2))
    (192, 3, (2,))
    """

    dims: tuple[int, ...]

    def __init__(self, *dims: int) -> None:
        if any(d < 1 for d in dims):
            raise ValueError(f"the sizes of a shape must be positive, got {dims}")
        object.__setattr__(self, "dims", tuple(int(d) for d in dims))

    @property
    def size(self) -> int:
        """The number of elements of an event."""
        return math.prod(self.dims)

    def channels(self, times: int) -> Shape:
        """The same shape with ``times`` as many channels (the first size)."""
        return Shape(self.dims[0] * times, *self.dims[1:])

    def with_channels(self, channels: int) -> Shape:
        """The same shape with this many channels."""
        return Shape(channels, *self.dims[1:])

    def __iter__(self) -> Iterator[int]:
        return iter(self.dims)

    def __len__(self) -> int:
        return len(self.dims)

    def __getitem__(self, index: int) -> int:
        return self.dims[index]

    def __str__(self) -> str:
        return "x".join(map(str, self.dims))

    def __repr__(self) -> str:
        return f"Shape({', '.join(map(str, self.dims))})"
