"""A view is a picture of whatever model it takes, and of a shape that a page or a screen has room for."""

from __future__ import annotations

import torch
from torch import Tensor

from ...interfaces.view import View
from ..errors import require

LONGEST = 3
"""Of a picture, its longer side in units of the shorter one."""
LONGEST_GROUP = 12
"""The same of a picture with one example, whose images may have to stand in one row."""
MANY = 64


def picture_is_rgb(view: View) -> None:
    """``draw`` gives an image ``[3, H, W]`` of bytes on the CPU, whose pixels are not all the same."""
    image = _drawn(view, view.default_n or MANY)
    require(
        image.dtype == torch.uint8 and image.dim() == 3 and image.shape[0] == 3 and image.device.type == "cpu",
        f"draw gives {image.dtype} of shape {list(image.shape)} on {image.device}: return bytes [3, H, W] on the CPU",
    )
    require(bool((image != image[:, :1, :1]).any()), "draw gives an image of one colour: draw the model")


def picture_is_near_a_square(view: View) -> None:
    """The picture of 64 examples, or of as many as the view takes by default, is at most three times longer than wide,
    or than a single example requires.
    """
    wide, high = _sides(view, 1)
    one = wide / high
    require(
        1 / LONGEST_GROUP <= one <= LONGEST_GROUP,
        f"the picture of one example is {wide} wide and {high} high: break it into rows, as zoo.image_groups does",
    )
    for n in sorted({view.default_n or MANY, MANY}):
        wide, high = _sides(view, n)
        require(
            min(1 / LONGEST, one) <= wide / high <= max(LONGEST, one),
            f"the picture of {n} examples is {wide} wide and {high} high: break it into columns or rows, as "
            "zoo.image_groups does",
        )


def _sides(view: View, n: int) -> tuple[int, int]:
    _, high, wide = _drawn(view, n).shape
    return wide, high


def _drawn(view: View, n: int) -> Tensor:
    torch.manual_seed(0)
    return view.draw(n, 1.0, view.model.event.example(max(n, 2), "cpu"))
