"""The outlines of dSprites' three shapes, and where the rows of an image cross them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SCALES = np.linspace(0.5, 1.0, 6)
ANGLES = np.linspace(0.0, 2.0 * math.pi, 40)
POINTS = 4096
"""Of an outline: they lie closer than two lines of the lattice do."""
PER_PIXEL = 31
"""Lines of the lattice in a pixel: the 32 positions are 32/31 pixels apart."""
REACH = 14 * PER_PIXEL
"""How far from the centre lines may cross an outline."""
LINES = 2 * REACH + 1
CROSSINGS = 4
"""At most, of a line with an outline: the heart's notch makes four."""
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
    r"""Where each line of a lattice crosses each outline: int16 ``[720 * LINES, 4]``.

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
    # The how-manieth crossing of its line each one is.
    table[key, np.arange(len(key)) - np.searchsorted(key, key)] = np.ceil(at[order])
    return table
