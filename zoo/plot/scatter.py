"""Models as marks in a plane: one figure over another that spans powers of ten."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from .axes import BLACK, TEXT, WHITE, Span, framed, from_pil
from .curves import shades_of

WIDTH, HEIGHT = 380, 300
RADIUS = 5
ROOM = 0.12
"""Of the picture, left free around the marks."""
NEAR = TEXT + 2
"""Pixels below which two names would overlap."""


def scatter(marks: Mapping[str, tuple[float, float]], title: str) -> Tensor:
    """Named marks at ``(x, y)``, ``x`` above 0 on a logarithmic axis and ``y`` from 0, as an image ``[3, H, W]``.

    ValueError without any mark.

    >>> scatter({"a": (0.01, 2.0), "b": (1.0, 3.0)}, "b over a").shape
    torch.Size([3, 352, 440])
    """
    if not marks:
        raise ValueError("no points to draw")
    logs = [math.log10(x) for x, _ in marks.values()]
    x = _around(min(logs), max(logs))
    y = (0.0, (1.0 + ROOM) * max(*(value for _, value in marks.values()), 1e-12))
    places = {
        name: (WIDTH * (log - x[0]) / (x[1] - x[0]), HEIGHT * (1.0 - value / y[1]))
        for log, (name, (_, value)) in zip(logs, marks.items(), strict=True)
    }
    powers = range(math.ceil(x[0]), math.floor(x[1]) + 1)
    return framed(_drawn(places), x, y, title, {float(power): f"1e{power}" for power in powers})


def _around(low: float, high: float) -> Span:
    """An interval with room at both ends, and a power of ten in it."""
    room = max(ROOM * (high - low), 0.3)
    low, high = low - room, high + room
    return min(low, math.floor(high)), max(high, math.ceil(low))


def _drawn(places: Mapping[str, tuple[float, float]]) -> Tensor:
    from PIL import Image, ImageDraw, ImageFont

    canvas = Image.new("RGB", (WIDTH, HEIGHT), WHITE)
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(TEXT)
    heights = _apart([top for _, top in places.values()])
    for (name, (left, top)), height, colour in zip(places.items(), heights, shades_of(len(places)), strict=True):
        pen.ellipse((left - RADIUS, top - RADIUS, left + RADIUS, top + RADIUS), fill=colour)
        inside = left + 2 * RADIUS + font.getlength(name) < WIDTH
        at, anchor = (left + 2 * RADIUS, "lm") if inside else (left - 2 * RADIUS, "rm")
        pen.text((at, height), name, fill=BLACK, font=font, anchor=anchor)
    return from_pil(canvas)


def _apart(heights: Sequence[float]) -> list[float]:
    """Heights of names, moved up where they would overlap.

    >>> _apart([100.0, 50.0, 104.0])
    [90.0, 50.0, 104.0]
    """
    moved = list(heights)
    above = math.inf
    for index in sorted(range(len(moved)), key=lambda i: -heights[i]):
        moved[index] = above = min(heights[index], above - NEAR)
    return moved
