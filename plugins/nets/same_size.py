"""Which shapes a convolutional network maps to each other."""

from __future__ import annotations

from zoo import Shape


def check_same_size(in_shape: Shape, out_shape: Shape) -> None:
    """ValueError unless both are images of one height and width.

    >>> check_same_size(Shape(3, 4, 4), Shape(6, 4, 4))
    """
    if len(in_shape) != 3 or len(out_shape) != 3:
        raise ValueError(f"needs images [C, H, W], not {in_shape} -> {out_shape}: use mlp for vectors")
    if tuple(in_shape)[1:] != tuple(out_shape)[1:]:
        raise ValueError(f"keeps height and width, so it cannot map {in_shape} to {out_shape}: use mlp")
