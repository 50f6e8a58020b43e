"""Figures over the steps of a run: one curve a name."""

from __future__ import annotations

import colorsys
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from .axes import BLACK, TEXT, WHITE, Span, framed, from_pil, in_a_row

Series = Mapping[str, Sequence[tuple[float, float]]]
"""Name -> (step, value), in the order of the steps."""

WIDTH, HEIGHT = 640, 360
SHARPER = 3
"""Drawn as many times larger and then reduced: Pillow's lines have steps."""
MOST_NAMES = 12
LINE, LINE_HEIGHT = 18, 20
ROOM = 0.05
"""Of the height, left free above and below."""

WEIGHT = re.compile(r"(?:^|\.)weight\.")
"""What the names of weights have in them; a player's are led by its own name."""


def weights_in(path: Path) -> dict[str, list[tuple[float, float]]]:
    """The weights of the loss in the train rows of a ``metrics.jsonl``, without those that are not finite."""
    series: dict[str, list[tuple[float, float]]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        row = _train_row(line)
        for name, value in row.items():
            if value is not None and WEIGHT.search(name):
                curve = series.setdefault(WEIGHT.sub(_joined, name, count=1), [])
                curve.append((float(row["step"] or 0), value))
    return series


def changing(series: Series) -> Series:
    """The curves that are not constant: a picture shows nothing of the others.

    >>> list(changing({"beta": [(1, 4.0), (2, 4.0)], "gamma": [(1, 1.0), (2, 1.5)]}))
    ['gamma']
    """
    return {name: curve for name, curve in series.items() if len({value for _, value in curve}) > 1}


def curves(series: Series, title: str) -> Tensor:
    """Curves over the steps as an RGB image ``[3, H, W]`` of bytes, with axes and names: of very many, some names."""
    points = [point for curve in series.values() for point in curve]
    x = _span([step for step, _ in points])
    low, high = _span([value for _, value in points])
    y = (low - ROOM * (high - low), high + ROOM * (high - low))
    colours = dict(zip(series, shades_of(len(series)), strict=True))
    drawn = framed(_drawn(series, colours, x, y), x, y, title)
    return in_a_row(drawn, _legend(colours, drawn.shape[1]))


def _train_row(line: str) -> Mapping[str, float | None]:
    """A row of training; None for another, or one that cannot be read."""
    try:
        row = json.loads(line)
        return row if row["split"] == "train" else {}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


def _span(values: Sequence[float]) -> Span:
    """From the least to the greatest; around a single value something at all."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - max(abs(low), 1.0) / 2, low + max(abs(low), 1.0) / 2)


def shades_of(n: int) -> list[tuple[int, int, int]]:
    """As many colours, around the circle of hues; of neighbours one is light and one dark."""
    shades = [colorsys.hsv_to_rgb(i / n, 0.85, 0.85 if i % 2 else 0.6) for i in range(n)]
    return [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in shades]


def _drawn(series: Series, colours: Mapping[str, tuple[int, int, int]], x: Span, y: Span) -> Tensor:
    from PIL import Image, ImageDraw

    W, H = WIDTH * SHARPER, HEIGHT * SHARPER
    canvas = Image.new("RGB", (W, H), WHITE)
    pen = ImageDraw.Draw(canvas)
    for name, curve in series.items():
        at = [(W * (s - x[0]) / (x[1] - x[0]), H * (y[1] - v) / (y[1] - y[0])) for s, v in curve]
        if len(at) > 1:
            pen.line(at, fill=colours[name], width=2 * SHARPER, joint="curve")
        else:
            (left, top), r = at[0], 2 * SHARPER
            pen.ellipse((left - r, top - r, left + r, top + r), fill=colours[name])
    return from_pil(canvas.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))


def _legend(colours: Mapping[str, tuple[int, int, int]], height: int) -> Tensor:
    """Names, each next to a stroke of its colour."""
    from PIL import Image, ImageDraw, ImageFont

    names = list(colours)
    shown = names if len(names) <= MOST_NAMES else [names[i * len(names) // MOST_NAMES] for i in range(MOST_NAMES)]
    rest = [f"and {len(names) - len(shown)} between them"] if len(shown) < len(names) else []
    font = ImageFont.load_default(TEXT)
    width = round(max(font.getlength(text) for text in [*shown, *rest])) + 2 * LINE
    canvas = Image.new("RGB", (width, height), WHITE)
    pen = ImageDraw.Draw(canvas)
    for index, text in enumerate([*shown, *rest]):
        y = LINE_HEIGHT * (index + 2)
        if text in colours:
            pen.line((0, y, LINE, y), fill=colours[text], width=3)
        pen.text((LINE + 6, y), text, fill=BLACK, font=font, anchor="lm")
    return from_pil(canvas)


def _joined(found: re.Match[str]) -> str:
    """A weight by its own name: ``weight.beta`` is ``beta``, ``critic.weight.beta`` is ``critic.beta``."""
    return "." if found.group().startswith(".") else ""
