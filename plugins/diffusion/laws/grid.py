"""Laws of grids: from the noise to the data of every path, at falling times, as a smooth function."""

from __future__ import annotations

import torch

from zoo.testing import Laws, require

from ..solvers.grid import Grid
from .gaussian import falling, paths


def times_fall_from_noise_to_data(grid: Grid) -> None:
    """Times fall strictly, from the end of the path to its start, for even and odd counts."""
    for path in paths():
        for count in (2, 3, 8, 17):
            times = grid.times(path, count)
            require(len(times) == count, f"expected {count} times, got {len(times)}")
            ends = (times[0], times[-1])
            require(ends == (path.end, path.start), f"expected times from {path.end:g} to {path.start:g}, got {ends}")
            require(falling(times), f"times must fall strictly, got {times}")


def rate_is_the_derivative(grid: Grid) -> None:
    """`moment` gives the time and its derivative."""
    for path in paths():
        for s in (0.1, 0.5, 0.9):
            t, rate = grid.moment(path, s)
            around = grid.at(path, torch.tensor([s - 1e-6, s, s + 1e-6], dtype=torch.float64))
            wanted = float(around[2] - around[0]) / 2e-6
            require(abs(t - float(around[1])) <= 1e-9 * abs(t) + 1e-12, "moment gives another time than at")
            require(abs(rate - wanted) <= 1e-4 * abs(wanted), f"the rate is {rate:.6g}, expected {wanted:.6g}")


LAWS = Laws.of(times_fall_from_noise_to_data, rate_is_the_derivative, given=[()])
