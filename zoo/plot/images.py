"""Samples as a picture: a grid of images, a map of how dense points lie, or a histogram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UsageError
from ..event import Event
from .axes import INK, Span, captioned, to_pil
from .histogram import chart

TILE = 48
"""Smaller images are enlarged by a whole factor to at least this many pixels."""
MAP = 320
MOST_IMAGES = 1024
"""Images that one picture has room for."""


def has_picture(event: Event) -> bool:
    """Whether data of an event can be drawn."""
    return tuple(event.shape) in {(1,), (2,)} or image_problem(event) is None


def shown_of(n: int, event: Event) -> int:
    """The number of ``n`` examples that a picture shows: all points, and as many images as fit."""
    return n if len(event.shape) < 2 else min(n, MOST_IMAGES)


def image_problem(event: Event) -> str | None:
    """The reason why data of an event are not images; None if they are."""
    if len(event.shape) == 3 and event.shape[0] in (1, 3):
        return None
    return f"needs images of one or three channels, got '{event.name}' of shape {event.shape}"


def picture(x: Tensor, event: Event) -> Tensor:
    """Data of an event as an RGB image ``[3, H, W]`` of bytes."""
    if not has_picture(event):
        raise UsageError(f"data of shape {event.shape} cannot be drawn as a picture; write .npy, .pt or .csv")
    if len(event.shape) == 3:
        return grid(shades(x, event))
    return density_map(x) if event.shape.size == 2 else chart(frame_of(x)[0], f"{len(x)} draws", data=x)


def image_grid(x: Tensor, event: Event, columns: int, captions: Sequence[str] = ()) -> Tensor:
    """Images on the scale of `Event.unit`, row by row, as an RGB image ``[3, H, W]`` of bytes.

    Each row has a caption left of it, where there are any; what is not finite is white. ValueError for data that are
    not images.

    >>> import torch, zoo
    >>> image_grid(torch.zeros(6, 1, 48, 48), zoo.Event("image", zoo.Shape(1, 48, 48), levels=2), 3).shape
    torch.Size([3, 102, 152])
    """
    problem = image_problem(event)
    if problem is not None:
        raise ValueError(problem)
    drawn = grid(unit_shades(x, event), columns)
    return captioned(drawn, captions) if captions else drawn


def shades(x: Tensor, event: Event) -> Tensor:
    """Values of an event between 0 and 1."""
    return unit_shades(event.unit(x, torch.float64), event)


def unit_shades(x: Tensor, event: Event) -> Tensor:
    """Values on the scale of `Event.unit` clamped to [0, 1], on the CPU; non-finite ones are 1."""
    x = x.double().cpu()
    if event.levels is None:
        seen = x[x.isfinite()]
        low, high = event.range or ((float(seen.min()), float(seen.max())) if len(seen) else (0.0, 1.0))
        x = (x - low) / max(high - low, 1e-12)
    return torch.where(x.isfinite(), x.clamp(0, 1), 1.0)


def grid(images: Tensor, columns: int | None = None) -> Tensor:
    """Images ``[N, C, H, W]`` between 0 and 1, row by row: in a square, unless it is said how many are in a row."""
    N, _C, H, W = images.shape
    scale = max(1, math.ceil(TILE / max(H, W)))
    tiles = images.repeat_interleave(scale, 2).repeat_interleave(scale, 3).expand(N, 3, -1, -1)
    gap, columns = 2, columns or math.ceil(math.sqrt(N))
    rows = math.ceil(N / columns)
    h, w = H * scale + gap, W * scale + gap
    canvas = torch.ones(3, rows * h + gap, columns * w + gap, dtype=torch.float64)
    for index, tile in enumerate(tiles):
        top, left = index // columns * h + gap, index % columns * w + gap
        canvas[:, top : top + H * scale, left : left + W * scale] = tile
    return to_bytes(canvas)


def density_map(points: Tensor) -> Tensor:
    """Points ``[N, 2]`` counted on a square grid: the darker, the more of them; the second axis points up."""
    cells = max(24, min(160, math.isqrt(len(points))))
    x, y = frame_of(points)
    return heat_map(counted(points, x, y, cells))


def frame_of(points: Tensor) -> list[Span]:
    """The interval along each axis, all of one length, with points ``[N, D]`` but for the few furthest out."""
    points = points.double().cpu()
    points = points[points.isfinite().all(1)]
    if not len(points):
        raise UsageError("no finite point to draw")
    low, high = points.quantile(0.002, dim=0), points.quantile(0.998, dim=0)
    half = float((high - low).max().clamp_min(1e-6)) * 0.6
    return [(centre - half, centre + half) for centre in ((low + high) / 2).tolist()]


def counted(points: Tensor, x: Span, y: Span, cells: int) -> Tensor:
    """The square root of the density of points ``[N, 2]`` in a frame, in [0, 1]: ``[cells, cells]``, top row first."""
    points = points.double().cpu()
    points = points[points.isfinite().all(1)]
    counts = torch.histogramdd(points, [cells, cells], range=[*x, *y]).hist
    top = counts.flatten().quantile(0.995).clamp_min(1.0)
    return (counts / top).clamp(0, 1).sqrt().T.flip(0)


def heat_map(values: Tensor) -> Tensor:
    """Values between 0 and 1, ``[H, W]``, as an RGB image of bytes: the more, the darker.

    >>> import torch
    >>> heat_map(torch.zeros(160, 160))[:, 0, 0].tolist()
    [255, 255, 255]
    """
    scale = max(1, MAP // max(values.shape))
    ink = values.double().cpu().repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    colour = torch.tensor(INK, dtype=torch.float64).reshape(3, 1, 1) / 255
    return to_bytes(1 - ink * (1 - colour))


def to_bytes(image: Tensor) -> Tensor:
    return image.clamp(0, 1).mul(255).round().to(torch.uint8)


def write_png(image: Tensor, path: Path) -> None:
    """An image ``[3, H, W]`` of bytes as a file."""
    to_pil(image).save(path, format="PNG")
