"""Images that are halved, several times."""

from __future__ import annotations

from zoo import Shape


def halved(shape: Shape, times: int) -> tuple[int, int]:
    """Height and width of an image after ``times`` halvings; ValueError where one is not even.

    >>> halved(Shape(1, 64, 48), 4)
    (4, 3)
    """
    if len(shape) != 3:
        raise ValueError(f"is for images, not for shape {shape}")
    _, H, W = shape
    # A stranger's number of times is compared before it is a power.
    if times > min(H, W).bit_length() or H % 2**times or W % 2**times:
        raise ValueError(
            f"halves {H}x{W} images {times} times: their sides should be multiples of {2 ** min(times, 32)}"
        )
    return H // 2**times, W // 2**times
