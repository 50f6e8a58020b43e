"""Numbers are computed in the precision that was asked for."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ..interfaces.bijection import Bijection
from .broken import distance, require
from .shapes import require_per_sample


@torch.no_grad()
def dtype_follows(bijection: Bijection, x: Tensor) -> None:
    """A component in float32 or float64 answers in that precision, both ways."""
    for dtype in (torch.float32, torch.float64):
        part = copy.deepcopy(bijection).to(dtype)
        z, there = part(x.to(dtype))
        back, home = part.inverse(z)
        found = {str(value.dtype) for value in (z, there, back, home)}
        require(
            found == {str(dtype)},
            f"in {dtype} the outputs are {', '.join(sorted(found))}: create tensors in the dtype of the input",
        )


@torch.no_grad()
def log_det_survives_autocast(bijection: Bijection, x: Tensor) -> None:
    """Under bfloat16 autocast z and log_det stay in float32, and log_det is that of the z that was computed."""
    part = copy.deepcopy(bijection).float()
    with torch.autocast("cpu", torch.bfloat16):
        z, log_det = part(x.float())
        back, home = part.inverse(z)
    require_per_sample("log_det of forward under autocast", log_det, len(x))
    require_per_sample("log_det of inverse under autocast", home, len(x))
    require(
        z.dtype == back.dtype == torch.float32,
        f"under autocast the outputs are {z.dtype} and {back.dtype}: cast what a network returns to the input's dtype",
    )
    error = distance(log_det, -home)
    require(
        error <= 0.05 * max(1.0, float(log_det.abs().max())),
        f"under autocast the log_dets of forward and inverse differ by {error:.3g}: sum the log-scales in float32",
    )
