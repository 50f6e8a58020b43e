"""Samples of a batch have nothing to do with each other."""

from __future__ import annotations

import torch
from torch import Tensor

from ..interfaces.bijection import Bijection
from .broken import distance, require
from .shapes import require_event, require_per_sample


@torch.no_grad()
def samples_are_independent(bijection: Bijection, x: Tensor) -> None:
    """In evaluation mode a batch of any size, one included, gives each sample what it would get alone."""
    z, log_det = bijection(x)
    require_event("z of forward", z, len(x), bijection.out_shape)
    require_per_sample("log_det of forward", log_det, len(x))
    for size in (1, 3):
        _compare("forward", bijection(x[:size]), (z[:size], log_det[:size]))
        back = bijection.inverse(z[:size])
        require_event("x of inverse", back[0], size, bijection.shape)
        require_per_sample("log_det of inverse", back[1], size)


def _compare(name: str, alone: tuple[Tensor, Tensor], among: tuple[Tensor, Tensor]) -> None:
    for what, a, b in zip(("z", "log_det"), alone, among, strict=True):
        require(
            a.shape == b.shape and distance(a, b) <= 1e-10 * max(1.0, float(b.abs().max())),
            f"{what} of {name} depends on the rest of the batch: keep the batch dimension apart from the event's",
        )
