"""Pictures of draws: images with texts, boxes and points, masks in colours, clips frame by frame."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from PIL import ImageDraw
from torch import Tensor

from ..event import Event
from ..interfaces import Batch
from .axes import from_pil, to_pil
from .images import grid, grouped, has_picture, image_problem, picture, shades, to_bytes

BOX, POINT = ("x0", "y0", "x1", "y1"), ("x", "y")
"""Columns of entries ``[N, 4]`` and ``[N, 2]`` that are drawn: parts of the width and height from the top left."""
BLANK, LEAST = 128, 128
"""Pixels of a side of an image that marks are drawn on, where there is none, and at least."""
CAPTION = 80
"""Characters of a text next to its image."""


def is_clip(event: Event) -> bool:
    """Whether an entry is a clip ``[T, C, H, W]`` of one or three channels."""
    return len(event.shape) == 4 and event.shape[1] in (1, 3)


def is_text(event: Event) -> bool:
    """Whether an entry is a text: tokens with a vocabulary."""
    return len(event.shape) == 1 and event.vocabulary is not None


def is_mask(event: Event) -> bool:
    """Whether an entry is a segmentation: one class, of those in its vocabulary, for each pixel."""
    return len(event.shape) == 3 and event.shape[0] == 1 and event.vocabulary is not None


def is_marks(event: Event) -> bool:
    """Whether an entry holds boxes or points."""
    return len(event.shape) == 2 and event.columns in (BOX, POINT)


def picture_problem(entries: Mapping[str, Event]) -> str | None:
    """The reason why draws of these entries have no picture; None if they have one."""
    main, *others = entries.values()
    if is_clip(main) or is_marks(main) or image_problem(main) is None:
        return None
    if is_text(main) or others or not has_picture(main):
        return f"'{main.name}' of shape {main.shape} cannot be drawn as a picture"
    return None


def entries_picture(batch: Batch, entries: Mapping[str, Event]) -> Tensor:
    """Draws as an RGB image ``[3, H, W]`` of bytes.

    A text is the caption of the image of its draw; boxes and points are drawn on that image, or on white; a clip is a
    row of frames; a segmentation has a colour for each class.
    """
    (name, main), *others = entries.items()
    x = batch[name]
    if is_clip(main):
        return grouped(torch.unflatten(_pixels(x.flatten(0, 1), main), 0, (len(x), 1, main.shape[0])))
    marks = [(entry, batch[other]) for other, entry in [(name, main), *others] if is_marks(entry)]
    texts = [entry.text(batch[other]) for other, entry in others if is_text(entry)]
    if not (marks or texts or is_mask(main)):
        return picture(x, main)
    images = torch.ones(len(x), 3, BLANK, BLANK, dtype=torch.float64) if is_marks(main) else _pixels(x, main)
    for entry, values in marks:
        images = _marked(images, entry, values)
    if not texts:
        return grid(images)
    captions = [" | ".join(line.replace("\n", " ")[:CAPTION] for line in of_one) for of_one in zip(*texts, strict=True)]
    return grouped(images[:, None, None], captions=captions)


def frames_of(x: Tensor, event: Event) -> list[np.ndarray]:
    """Clips ``[N, T, C, H, W]`` as frames ``[H, W, 3]`` of bytes, each with all clips in a square."""
    frames = [grid(_pixels(x[:, t], event)) for t in range(event.shape[0])]
    return [frame.permute(1, 2, 0).contiguous().numpy() for frame in frames]


def _pixels(x: Tensor, event: Event) -> Tensor:
    """Images ``[N, 3, H, W]`` between 0 and 1; a segmentation in the colours of its classes."""
    if not is_mask(event):
        return shades(x, event).expand(len(x), 3, *x.shape[-2:])
    palette = torch.tensor([*_colours(event.levels or 1)], dtype=torch.float64)
    return palette[x[:, 0].long().cpu()].permute(0, 3, 1, 2)


def _colours(n: int) -> Iterator[tuple[float, float, float]]:
    """As many colours, far from each other; the first is black."""
    yield 0.0, 0.0, 0.0
    for k in range(n - 1):
        yield colorsys.hsv_to_rgb(k * 0.618034 % 1.0, 0.65, 0.95)


def _marked(images: Tensor, entry: Event, x: Tensor) -> Tensor:
    """Images with the boxes or points of each, in colours that count through."""
    scale = max(1, -(-LEAST // max(images.shape[-2:])))
    large = images.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    colours = [tuple(round(255 * c) for c in colour) for colour in _colours(x.shape[1] + 1)][1:]
    drawn = []
    for image, rows, mask in zip(large, x.double().cpu(), entry.mask(x).cpu(), strict=True):
        pil = to_pil(to_bytes(image))
        pen = ImageDraw.Draw(pil)
        for row, colour in zip(rows[mask].tolist(), colours, strict=False):
            _draw_mark(pen, row, pil.size, colour)
        drawn.append(from_pil(pil).double() / 255)
    return torch.stack(drawn)


def _draw_mark(pen: ImageDraw.ImageDraw, row: list[float], size: tuple[int, int], colour: tuple[int, ...]) -> None:
    W, H = size
    places = [min(max(v, 0.0), 1.0) * (W if i % 2 == 0 else H) for i, v in enumerate(row)]
    if len(places) == 2:
        x, y = places
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
    else:
        (left, right), (top, bottom) = sorted(places[::2]), sorted(places[1::2])
        pen.rectangle((left, top, min(right, W - 1), min(bottom, H - 1)), outline=colour, width=2)
