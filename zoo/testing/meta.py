"""Shapes are known without numbers."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ..interfaces.bijection import Bijection
from .broken import LawBroken
from .shapes import require_event, require_per_sample


@torch.no_grad()
def runs_on_meta(bijection: Bijection, x: Tensor) -> None:
    """Both ways run on the meta device, where a spec's shapes are checked before any memory is touched."""
    part = copy.deepcopy(bijection).to("meta")
    try:
        z, log_det = part(x.to("meta"))
        back, _ = part.inverse(z)
    except (NotImplementedError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise LawBroken(f"it does not run on the meta device: ask for no tensor's value ({reason})") from None
    require_event("z on the meta device", z, len(x), bijection.out_shape)
    require_event("x of inverse on the meta device", back, len(x), bijection.shape)
    require_per_sample("log_det on the meta device", log_det, len(x))
