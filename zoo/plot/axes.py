"""Axes around a picture: a frame, ticks with numbers, a title."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL import Image

Span = tuple[float, float]

LEFT, RIGHT, TOP, BOTTOM = 46, 14, 26, 26
"""Pixels around the framed picture."""
TICK = 4
INK, GREY, BLACK, WHITE = (26, 41, 97), (140, 140, 140), (40, 40, 40), (255, 255, 255)
TEXT = 12
MOST_TICKS = 6


def framed(image: Tensor, x: Span, y: Span, title: str, x_marks: Mapping[float, str] | None = None) -> Tensor:
    """An image ``[3, H, W]`` of bytes that spans ``x`` and ``y``, with its axes; the second one points up.

    ``x_marks`` are labels of the first axis by their places, where they are not round numbers.
    """
    from PIL import Image, ImageDraw, ImageFont

    _, H, W = image.shape
    canvas = Image.new("RGB", (LEFT + W + RIGHT, TOP + H + BOTTOM), WHITE)
    canvas.paste(to_pil(image), (LEFT, TOP))
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(TEXT)
    bottom = TOP + H
    pen.rectangle((LEFT - 1, TOP - 1, LEFT + W, bottom), outline=GREY)
    pen.text((LEFT + W / 2, TOP / 2), title, fill=BLACK, font=font, anchor="mm")
    for value, label in (x_marks or {value: number(value) for value in ticks(*x)}).items():
        at = LEFT + round(W * (value - x[0]) / (x[1] - x[0]))
        pen.line((at, bottom, at, bottom + TICK), fill=GREY)
        pen.text((at, bottom + TICK + 2), label, fill=BLACK, font=font, anchor="mt")
    for value in ticks(*y):
        at = bottom - round(H * (value - y[0]) / (y[1] - y[0]))
        pen.line((LEFT - 1 - TICK, at, LEFT - 1, at), fill=GREY)
        pen.text((LEFT - TICK - 4, at), number(value), fill=BLACK, font=font, anchor="rm")
    return from_pil(canvas)


def ticks(low: float, high: float) -> list[float]:
    """A few round numbers of an interval, 1, 2 or 5 times a power of ten apart; none of an empty one.

    >>> ticks(-0.3, 2.2)
    [0.0, 0.5, 1.0, 1.5, 2.0]
    """
    span = high - low
    if not (0.0 < span < math.inf):
        return []
    power = 10.0 ** math.floor(math.log10(span / MOST_TICKS))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if span / (factor * power) <= MOST_TICKS)
    return [count * step for count in range(math.ceil(low / step), math.floor(high / step) + 1)]


def number(value: float) -> str:
    """A tick's label.

    >>> number(-0.0), number(2.0), number(0.30000000000000004)
    ('0', '2', '0.3')
    """
    return f"{value + 0.0:.4g}"


def captioned(image: Tensor, captions: Sequence[str], heights: Sequence[float] = ()) -> Tensor:
    """An image ``[3, H, W]`` of bytes with captions left of it, at these heights; else one for each of its rows, which
    are of one height.
    """
    from PIL import Image, ImageDraw, ImageFont

    _, H, _W = image.shape
    font, width = ImageFont.load_default(TEXT), caption_width(captions)
    margin = Image.new("RGB", (width, H), WHITE)
    pen = ImageDraw.Draw(margin)
    heights = heights or [(index + 0.5) * H / len(captions) for index in range(len(captions))]
    for text, height in zip(captions, heights, strict=True):
        pen.text((width - TICK, height), text, fill=BLACK, font=font, anchor="rm")
    return in_a_row(from_pil(margin), image.cpu())


def caption_width(captions: Sequence[str]) -> int:
    """The width in pixels of the margin that captions need."""
    from PIL import ImageFont

    font = ImageFont.load_default(TEXT)
    return math.ceil(max(font.getlength(text) for text in captions)) + 2 * TICK


def in_a_row(*images: Tensor) -> Tensor:
    """Images of one height, side by side."""
    return torch.cat(images, dim=2)


def to_pil(image: Tensor) -> Image.Image:
    """``[3, H, W]`` of bytes for Pillow."""
    from PIL import Image

    return Image.fromarray(image.permute(1, 2, 0).contiguous().cpu().numpy())


def from_pil(image: Image.Image) -> Tensor:
    """The inverse of `to_pil`."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
