"""Maps of where points of a plane are, several in one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from zoo import heat_map

CELLS = 120
"""Along each axis of a map."""
GAP = 4
"""Pixels between two maps."""
PER_ROW = 4
ARROWS, ARROW, HEAD = 16, (214, 96, 24), 0.35
"""Arrows along each axis of a map, their colour, and the part of their length that is the head."""
LONGEST = 1.2
"""Distances of two arrows that most of them are long at most."""


def maps(states: Sequence[Tensor], moves: Sequence[Tensor | None] | None = None) -> Tensor:
    """Maps of points ``[n, 2]`` in one frame, in rows of four, the darker, the more points: ``[3, H, W]`` of bytes.

    ``moves`` has for each map where its points go, ``[n, 2]``, or None: arrows show the mean of each neighbourhood, all
    on one scale.
    """
    low, high = span_of(states)
    moves = moves or [None] * len(states)
    fields = [None if d is None else _field(x, d, low, high) for x, d in zip(states, moves, strict=True)]
    lengths = [field[1].norm(dim=1) for field in fields if field is not None]
    longest = float(torch.cat(lengths).quantile(0.95)) if sum(map(len, lengths)) else 1.0
    drawn = []
    for x, field in zip(states, fields, strict=True):
        counts = torch.histogramdd(finite(x), [CELLS, CELLS], range=[low, high, low, high]).hist
        image = heat_map(shades(counts).T.flip(0))
        drawn.append(image if field is None else _with_arrows(image, *field, longest))
    side = drawn[0].shape[1]
    columns = min(len(drawn), PER_ROW)
    rows = -(-len(drawn) // columns)
    canvas = torch.full((3, rows * (side + GAP) - GAP, columns * (side + GAP) - GAP), 200, dtype=torch.uint8)
    for i, tile in enumerate(drawn):
        top, left = i // columns * (side + GAP), i % columns * (side + GAP)
        canvas[:, top : top + side, left : left + side] = tile
    return canvas


def columns(states: Sequence[Tensor]) -> Tensor:
    """One map of numbers ``[n, 1]``, a column for each state."""
    low, high = span_of(states)
    counts = [shades(torch.histogramdd(finite(x), [CELLS], range=[low, high]).hist) for x in states]
    wide = max(CELLS // len(counts), 1)
    return heat_map(torch.stack(counts, dim=1).flip(0).repeat_interleave(wide, 1))


def finite(x: Tensor) -> Tensor:
    """The points that are finite, in float64 on the CPU."""
    x = x.double().cpu()
    return x[x.isfinite().all(1)]


def span_of(states: Sequence[Tensor]) -> tuple[float, float]:
    """The interval with nearly all numbers, symmetric about zero."""
    x = torch.cat([finite(each) for each in states]).abs().flatten()
    half = 1.1 * float(x.sort().values[int(0.995 * (len(x) - 1))]) if len(x) else 1.0
    return -half, max(half, -half + 1e-6)


def shades(counts: Tensor) -> Tensor:
    """Counts between 0 and 1, the most of them 1."""
    return (counts / counts.max().clamp_min(1.0)).sqrt()


def _field(x: Tensor, d: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """The mean place and the mean move of the points in each cell of a coarse grid, on a scale where the frame is 1."""
    x, d = x.double().cpu(), d.double().cpu()
    inside = (x.isfinite() & d.isfinite() & (x >= low) & (x < high)).all(1)
    x, d = (x[inside] - low) / (high - low), d[inside] / (high - low)
    cell = (x * ARROWS).long().clamp(0, ARROWS - 1) @ torch.tensor([ARROWS, 1])
    counts = torch.zeros(ARROWS**2, dtype=torch.float64).index_add_(0, cell, torch.ones(len(x), dtype=torch.float64))
    means = [torch.zeros(ARROWS**2, 2, dtype=torch.float64).index_add_(0, cell, v)[counts > 0] for v in (x, d)]
    places, move = (mean / counts[counts > 0].unsqueeze(1) for mean in means)
    return places, move


def _with_arrows(image: Tensor, places: Tensor, moves: Tensor, longest: float) -> Tensor:
    """An image with an arrow at each place; moves as long as ``longest`` are `LONGEST` distances of two arrows."""
    import numpy as np
    from PIL import Image, ImageDraw

    canvas = Image.fromarray(image.permute(1, 2, 0).numpy())
    pen, side = ImageDraw.Draw(canvas), image.shape[1]
    scale = LONGEST / ARROWS / max(longest, 1e-12)
    for (x, y), (u, v) in zip((side * places).tolist(), (side * scale * moves).tolist(), strict=True):
        tail, tip = (x, side - y), (x + u, side - y - v)
        pen.line((*tail, *tip), fill=ARROW)
        turned = math.atan2(-v, u)
        for angle in (turned + 2.6, turned - 2.6):
            length = HEAD * math.hypot(u, v)
            pen.line((*tip, tip[0] + length * math.cos(angle), tip[1] + length * math.sin(angle)), fill=ARROW)
    return torch.from_numpy(np.array(canvas)).permute(2, 0, 1)
