"""Rendering of sprites on the device: outlines, filled."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .factors import FACTORS

SCALES = np.linspace(0.5, 1.0, 6)
ANGLES = np.linspace(0.0, 2.0 * math.pi, 40)
POINTS = 4096
"""Points of an outline, closer to each other than two lines of the lattice."""
PER_PIXEL = 31
"""Lines of the lattice in a pixel: the 32 positions are 32/31 pixels apart."""
REACH = 14 * PER_PIXEL
"""The largest distance from the centre of a line that crosses an outline."""
LINES = 2 * REACH + 1
CROSSINGS = 4
"""The largest number of crossings of a line with an outline: the heart's notch makes four."""
NEVER = 1 << 14
"""A crossing beyond every column."""

Curve = NDArray[np.complex128]


def square() -> Curve:
    """A square with sides of 19.2."""
    along = 9.6 * np.linspace(-1.0, 1.0, POINTS // 4, endpoint=False)
    return np.concatenate([(along - 9.6j) * turn for turn in (1, 1j, -1, -1j)])


def ellipse() -> Curve:
    """An ellipse with the semi-axes 12.8 and 7.25."""
    t = np.arange(POINTS) * 2.0 * math.pi / POINTS
    return 12.8 * np.cos(t) + 7.25j * np.sin(t)


def heart() -> Curve:
    """A heart, upright where the second axis points down."""
    t = np.arange(POINTS) * 2.0 * math.pi / POINTS
    height = 13.0 * np.cos(t) - 5.0 * np.cos(2.0 * t) - 2.0 * np.cos(3.0 * t) - np.cos(4.0 * t)
    return 0.6017 * 16.0 * np.sin(t) ** 3 - 1j * (0.6623 * height + 1.456)


OUTLINES: Sequence[Callable[[], Curve]] = (square, ellipse, heart)
"""In the order of dSprites; points u + iv about the centre, in pixels of the largest size."""


@lru_cache(maxsize=8)
def crossings(shift: float, device: torch.device) -> Tensor:
    r"""The crossings of each line of a lattice with each outline: int16 ``[720 * LINES, 4]``.

    The outlines are in the order (shape, scale, orientation), ``LINES`` rows each. Row ``n + REACH`` is line ``n`` of
    the lattice, ``(n + shift) / 31`` pixels below the centre. Of its points, at ``(m + shift) / 31``, those are inside
    that have an odd number of crossings at or before ``m``.
    """
    turns = np.multiply.outer(SCALES, np.exp(1j * ANGLES)).reshape(-1, 1)
    tables = [_crossed(PER_PIXEL * turns * outline() - shift * (1 + 1j)) for outline in OUTLINES]
    return torch.from_numpy(np.concatenate(tables)).to(device)


def _crossed(curves: Curve) -> NDArray[np.int16]:
    """The crossings of closed curves ``[K, POINTS]`` with the lines of whole heights: ``[K * LINES, 4]``."""
    ahead = np.roll(curves, -1, axis=1)
    line = np.maximum(np.floor(curves.imag), np.floor(ahead.imag))
    curve, point = np.nonzero(np.floor(curves.imag) != np.floor(ahead.imag))
    start, end, line = curves[curve, point], ahead[curve, point], line[curve, point]
    at = start.real + (line - start.imag) / (end.imag - start.imag) * (end.real - start.real)
    key = curve * LINES + line.astype(np.int64) + REACH
    order = np.argsort(key, kind="stable")
    key = key[order]
    table = np.full((len(curves) * LINES, CROSSINGS), NEVER, np.int16)
    # The index of each crossing among those of its line.
    table[key, np.arange(len(key)) - np.searchsorted(key, key)] = np.ceil(at[order])
    return table


FRAME = 64
"""Pixels along a side of dSprites, to which all lengths refer."""
MARGIN = 16
"""Pixels at each border of the frame without the centre of a sprite."""


def draw(factors: Tensor, side: int = FRAME) -> Tensor:
    r"""White sprites on black: factors int64 ``[B, 5]`` to images uint8 ``[B, 1, side, side]`` of zeros and ones.

    A pixel is white where its centre lies inside the outline. A coarser image, with a ``side`` of 8, 16 or 32, shows
    the same frame. The centres of pixels and sprites lie on one lattice of 31 lines a pixel, so that the comparison is
    of integers: a row crosses the outline at most four times, and a pixel with an odd number of crossings to its left
    is inside.

    >>> draw(torch.tensor([[1, 5, 0, 15, 15]]), side=8)[0, 0, 3:5].tolist()
    [[0, 0, 0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0, 0, 0]]
    """
    shape, scale, orientation, x, y = factors.unbind(1)
    outline = (shape * FACTORS["scale"] + scale) * FACTORS["orientation"] + orientation
    stride, half = PER_PIXEL * FRAME // side, PER_PIXEL * FRAME / (2 * side)
    first, shift = int(half) - PER_PIXEL * MARGIN, half % 1.0
    # Pixel k is at line first + stride * k of the lattice about a sprite at position 0.
    line = first + stride * torch.arange(side, device=factors.device) - FRAME // 2 * y.unsqueeze(1)
    row = outline.unsqueeze(1) * LINES + line.clamp(-REACH, REACH) + REACH  # [B, side]
    crossed = crossings(shift, factors.device).index_select(0, row.flatten()).int().reshape(-1, side, 4)
    offset = (FRAME // 2 * x - first).int().reshape(-1, 1, 1)  # [B, 1, 1]
    column = (crossed + offset + (stride - 1)).div(stride, rounding_mode="floor").clamp(0, side)  # [B, side, 4]
    return _filled(column, side)


def _filled(column: Tensor, side: int) -> Tensor:
    """The first columns ``[B, side, 4]`` past each crossing, as images."""
    a, b, c, d = column.unbind(2)
    spans = _spans(side, column.device)
    rows = [spans.index_select(0, (start * (side + 1) + end).flatten()) for start, end in ((a, b), (c, d))]
    return (rows[0] ^ rows[1]).view(torch.uint8).reshape(-1, 1, side, side)


@lru_cache(maxsize=8)
def _spans(side: int, device: torch.device) -> Tensor:
    """Rows of pixels that are one between two columns: ``[(side + 1)^2, side / 8]``, eight pixels a number."""
    past = torch.arange(side + 1).unsqueeze(1) <= torch.arange(side)
    spans = past.unsqueeze(0) ^ past.unsqueeze(1)
    return spans.view(torch.uint8).reshape(-1, side).view(torch.int64).to(device)
