"""Samples as a picture: a grid of images, a map of how dense points lie, or a histogram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from ..event import Event
from .axes import INK, Span, caption_width, captioned, in_a_row, to_pil
from .histogram import chart

TILE = 48
"""Smaller images are enlarged by a whole factor to at least this many pixels."""
GAP, GUTTER = 2, 10
"""Pixels between two images, and further ones between two groups of several."""
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


def image_groups(x: Tensor, event: Event, *, captions: Sequence[str] = (), rows: Sequence[str] = ()) -> Tensor:
    """Groups of images on the scale of `Event.unit`, ``[N, R, C, *shape]``, as an RGB image ``[3, H, W]`` of bytes.

    The R x C images of a group stay together; the groups are in as many columns as bring the picture nearest to a
    square, row by row. What is not finite is white. ValueError for data that are not images.

    Args:
        captions: A text for each group, left of it.
        rows: A text for each of the R rows of a group, at the left edge of the picture.

    >>> import torch, zoo
    >>> event = zoo.Event("image", zoo.Shape(1, 48, 48), levels=2)
    >>> image_groups(torch.zeros(8, 1, 2, 1, 48, 48), event).shape    # four rows of two groups, each of two images
    torch.Size([3, 202, 212])
    """
    problem = image_problem(event)
    if problem is not None:
        raise ValueError(problem)
    return grouped(torch.unflatten(unit_shades(x.flatten(0, 2), event), 0, x.shape[:3]), captions=captions, rows=rows)


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
    """Images ``[N, C, H, W]`` between 0 and 1, row by row, in this many columns: by default near a square."""
    return grouped(images[:, None, None], columns)


def grouped(
    images: Tensor, columns: int | None = None, *, captions: Sequence[str] = (), rows: Sequence[str] = ()
) -> Tensor:
    """Groups ``[N, R, C, channels, H, W]`` between 0 and 1, in this many columns of groups: by default near a square.

    Captions are as in `image_groups`.
    """
    N, R, C, _, H, W = images.shape
    scale = max(1, math.ceil(TILE / max(H, W)))
    tiles = images.repeat_interleave(scale, -2).repeat_interleave(scale, -1).expand(N, R, C, 3, -1, -1)
    h, w = H * scale + GAP, W * scale + GAP
    height, width = R * h + (GUTTER if R > 1 else 0), C * w + (GUTTER if C > 1 else 0)
    margin = sum(caption_width([text]) for text in captions if text) // N
    columns = columns or near_square(N, height, width + margin)
    canvas = torch.ones(3, math.ceil(N / columns) * height + GAP, columns * width + GAP, dtype=torch.float64)
    for index, group in enumerate(tiles):
        for (row, column), tile in zip(np.ndindex(R, C), group.flatten(0, 1), strict=True):
            top, left = index // columns * height + row * h + GAP, index % columns * width + column * w + GAP
            canvas[:, top : top + H * scale, left : left + W * scale] = tile
    image = to_bytes(canvas[:, : canvas.shape[1] - height + R * h, : canvas.shape[2] - width + C * w])
    if captions:
        image = _captioned_columns(image, captions, columns, height, width, R * h)
    if rows:
        tops = range(0, image.shape[1] - GAP, height)
        heights = [top + (row + 0.5) * h + GAP / 2 for top in tops for row in range(R)]
        image = captioned(image, [*rows] * len(tops), heights)
    return image


def near_square(n: int, height: int, width: int) -> int:
    """The number of columns in which ``n`` pictures of this size are nearest to a square.

    >>> near_square(64, 10, 10), near_square(64, 10, 60), near_square(3, 10, 60)
    (8, 3, 1)
    """

    def lengthening(columns: int) -> Fraction:
        ratio = Fraction(columns * width, math.ceil(n / columns) * height)
        return max(ratio, 1 / ratio)

    return min(range(n, 0, -1), key=lengthening)


def _captioned_columns(
    image: Tensor, captions: Sequence[str], columns: int, height: int, width: int, shown: int
) -> Tensor:
    """An image of groups, each with its caption, of which ``shown`` pixels of the height are images."""
    parts = []
    for column in range(columns):
        of_column = captions[column::columns]
        end = image.shape[2] if column == columns - 1 else (column + 1) * width
        part = image[:, :, column * width : end]
        heights = [row * height + (shown + GAP) / 2 for row in range(len(of_column))]
        parts.append(captioned(part, of_column, heights) if any(of_column) else part)
    return in_a_row(*parts)


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
