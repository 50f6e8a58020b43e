"""A density on the line: a curve, a histogram, or one over the other."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .axes import INK, WHITE, Span, framed, from_pil

WIDTH, HEIGHT = 640, 320
SHARPER = 3
"""Drawn as many times larger and then reduced: Pillow's lines have steps."""
HEADROOM = 1.08
BAR = (190, 202, 230)


def chart(x: Span, title: str, *, curve: Tensor | None = None, data: Tensor | None = None) -> Tensor:
    """A ``curve`` of densities at the middles of equal parts of ``x``, over the histogram of ``data`` ``[N, 1]``."""
    bars = None if data is None else histogram(data, x)
    heights = torch.cat([values for values in (curve, bars) if values is not None]).double()
    top = HEADROOM * float(heights[heights.isfinite()].max()) or 1.0
    image = _drawn(_scaled(curve, top), _scaled(bars, top))
    return framed(image, x, (0.0, top), title)


def histogram(data: Tensor, x: Span) -> Tensor:
    """The density of data in equal bins of an interval; data outside counts in the total."""
    values = data.flatten().double().cpu()
    parts = max(24, min(100, math.isqrt(len(values))))
    counts = torch.histc(values[values.isfinite()], parts, *x)
    return counts * parts / (len(values) * (x[1] - x[0]))


def _scaled(heights: Tensor | None, top: float) -> list[float]:
    """As shares of the whole height."""
    return [] if heights is None else (heights / top).nan_to_num(0.0).clamp(0.0, 1.0).tolist()


def _drawn(curve: list[float], bars: list[float]) -> Tensor:
    from PIL import Image, ImageDraw

    W, H = WIDTH * SHARPER, HEIGHT * SHARPER
    canvas = Image.new("RGB", (W, H), WHITE)
    pen = ImageDraw.Draw(canvas)
    for index, share in enumerate(bars):
        left, right = index * W / len(bars), (index + 1) * W / len(bars)
        if share > 0.0:
            pen.rectangle((left, H * (1.0 - share), right - SHARPER, H), fill=BAR)
    line = [((index + 0.5) * W / len(curve), H * (1.0 - share)) for index, share in enumerate(curve)]
    if line:
        pen.line(line, fill=INK, width=2 * SHARPER, joint="curve")
    return from_pil(canvas.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))
