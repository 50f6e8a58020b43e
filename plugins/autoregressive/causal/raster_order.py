"""Raster order of pixels and their channels."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Shape


def colours_of(shape: Shape, together: int) -> int:
    """The number of steps of a pixel; ValueError for data that are not images, and for groups of channels.

    >>> colours_of(Shape(3, 8, 8), 1), colours_of(Shape(3, 8, 8), 3)
    (3, 1)
    """
    if len(shape) != 3:
        raise ValueError(f"goes through images [C, H, W] in raster order, got shape {shape}")
    if together not in (1, shape[0]):
        raise ValueError(f"takes the {shape[0]} channels of a pixel one after the other or all at once")
    return shape[0] // together


def in_raster_order(sites: Shape) -> Tensor:
    """The rank of each site: pixel by pixel, and within a pixel colour by colour; int64, on the CPU.

    >>> in_raster_order(Shape(2, 1, 3)).tolist()
    [0, 2, 4, 1, 3, 5]
    """
    C, H, W = sites
    return torch.arange(H * W * C, device="cpu").reshape(H, W, C).permute(2, 0, 1).flatten()


def by_element(seen: Tensor, held: Tensor, sites: int, channels: int) -> Tensor:
    """Which elements each site depends on: booleans ``[sites HW, channels HW]``.

    ``seen`` are the pixels that a place sees as a whole, and ``held`` those that it sees by their features, ``[HW,
    HW]`` each. If a pixel has several sites, its features depend on its colours but the last, and at its own place a
    site sees the colours before its own.

    >>> no = torch.zeros(1, 1, dtype=torch.bool)
    >>> by_element(no, ~no, 3, 3).int().tolist()
    [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    """
    P = seen.shape[0]
    site, channel = torch.arange(sites, device="cpu"), torch.arange(channels, device="cpu")
    here = torch.eye(P, dtype=torch.bool, device="cpu")
    before = (channel < site.unsqueeze(1)) & (sites > 1)
    below_last = (channel < sites - 1).expand(sites, -1)
    every = seen[None, :, None, :] | (before[:, None, :, None] & here[None, :, None, :])
    every = every | (below_last[:, None, :, None] & (held & ~here)[None, :, None, :])
    return every.reshape(sites * P, channels * P)


def check_whole_pixels(colours: int) -> None:
    """ValueError for a layer whose features have no colours, if the channels of a pixel are drawn one by one."""
    if colours > 1:
        raise ValueError("draws the channels of a pixel together: declare a head that does so")
