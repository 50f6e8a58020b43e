"""The scale on which energies see data: levels are evenly spaced on [-1, 1], continuous data is unchanged."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Event

from ..shared.events import nearest_level


def signed(x: Tensor, event: Event, like: Tensor) -> Tensor:
    """Data as floating point numbers in the dtype of ``like``, levels from -1 to 1.

    >>> from zoo import Shape
    >>> signed(torch.tensor([[0, 1, 2]]), Event("row", Shape(3), levels=3), torch.zeros(()))
    tensor([[-1.,  0.,  1.]])
    """
    unit = event.unit(x, like.dtype)
    return unit if event.levels is None else 2.0 * unit - 1.0


def as_data(x: Tensor, event: Event) -> Tensor:
    """The inverse of `signed`: the nearest level where the event has levels.

    >>> from zoo import Shape
    >>> as_data(torch.tensor([[-1.2, 0.1, 0.6]]), Event("row", Shape(3), levels=3))
    tensor([[0, 1, 2]], dtype=torch.uint8)
    """
    return x if event.levels is None else nearest_level(0.5 * (x + 1.0) * (event.levels - 1), event.levels)


def level_values(levels: int, like: Tensor) -> Tensor:
    """The numbers that levels are seen as, ``[levels]``."""
    return torch.linspace(-1.0, 1.0, levels, dtype=like.dtype, device=like.device)


def noise_of(event: Event, n: int, spread: float, like: Tensor) -> Tensor:
    """Noise that chains start from, ``[n, *shape]``: uniform on [-1, 1] for data with levels, else normal."""
    noise = torch.empty(n, *event.shape, dtype=like.dtype, device=like.device)
    return noise.normal_(std=spread) if event.levels is None else noise.uniform_(-1.0, 1.0)
