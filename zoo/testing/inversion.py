"""The inverse inverts."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ..interfaces.bijection import Bijection
from .broken import distance, require

TOLERANCE = 1e-10
FLOAT32_BUDGET = 1e-4


def inverse_inverts(bijection: Bijection, x: Tensor) -> None:
    """``inverse(forward(x))`` gives x back and ``forward(inverse(z))`` gives z, to 1e-10 of their scale in float64,
    and the log-determinants of both ways cancel."""
    _round_trip(bijection, x, TOLERANCE)


@torch.no_grad()
def decode_is_inverse(bijection: Bijection, x: Tensor) -> None:
    """``decode(z)`` is the x of ``inverse(z)``."""
    z, _ = bijection(x)
    error = distance(bijection.decode(z), bijection.inverse(z)[0])
    require(error <= TOLERANCE, f"decode differs from inverse by {error:.3g}: it is the same map without the log_det")


def float32_is_enough(bijection: Bijection, x: Tensor) -> None:
    """The round trip in float32 stays within 1e-4 of the scale of x."""
    _round_trip(copy.deepcopy(bijection).float(), x.float(), FLOAT32_BUDGET)


@torch.no_grad()
def _round_trip(bijection: Bijection, x: Tensor, tolerance: float) -> None:
    z, there = bijection(x)
    back, home = bijection.inverse(z)
    again, _ = bijection(back)
    within = f"more than {tolerance:g} of its scale: let inverse undo forward's steps in reverse order"
    for what, a, b in (("x", back, x), ("z", again, z)):
        error = distance(a, b)
        require(error <= tolerance * _scale(b), f"the round trip moves {what} by {error:.3g}, {within}")
    error = distance(there, -home)
    require(
        error <= tolerance * _scale(there) * x[0].numel(),
        f"the log_dets of forward and inverse differ by {error:.3g}: they are each other's negative",
    )


def _scale(x: Tensor) -> float:
    return max(1.0, float(x.abs().max()))
