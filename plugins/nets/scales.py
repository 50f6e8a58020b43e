"""How many times an image is halved on its way to a code."""

from __future__ import annotations

from zoo import Shape

from .halvings import halved

SMALLEST = 4
"""Where halving ends if nothing else says so."""


def halvings(image: Shape, code: Shape, levels: int | None) -> int:
    """Those that lead from an image to a code: to the very size of one that is a map ``[C, h, w]``, else ``levels``.

    Without ``levels`` an image is halved on the way to a vector while its sides are even and above four. ValueError
    where the sizes of a map are no equal halvings of the image's, or other than ``levels``.

    >>> halvings(Shape(3, 32, 32), Shape(64, 8, 8), None), halvings(Shape(1, 28, 28), Shape(16), None)
    (2, 2)
    """
    if len(code) != 3:
        times = _deepest(image) if levels is None else levels
        halved(image, times)
        return times
    times = (image[1] // code[1]).bit_length() - 1 if len(image) == 3 else 0
    if times < 0 or halved(image, times) != tuple(code)[1:]:
        raise ValueError(f"halves sides, and no number of halvings is between {image} and {code}")
    if levels is not None and levels != times:
        raise ValueError(f"'levels' is {levels}, and {times} halvings lie between {image} and {code}: leave it out")
    return times


def _deepest(image: Shape) -> int:
    times, sides = 0, tuple(image)[1:]
    while len(sides) == 2 and all(side % 2 == 0 and side > SMALLEST for side in sides):
        times, sides = times + 1, tuple(side // 2 for side in sides)
    return times
