"""Both ways compile as one graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..interfaces.bijection import Bijection
from .broken import LawBroken, distance, require


@torch.no_grad()
def compiles(bijection: Bijection, x: Tensor) -> None:
    """``torch.compile(fullgraph=True)`` traces forward and inverse without a graph break."""
    z, _ = bijection(x)
    for name, direction, at in (("forward", bijection.forward, x), ("inverse", bijection.inverse, z)):
        for ours, theirs in zip(traced(name, direction, at), direction(at), strict=True):
            require(distance(ours, theirs) <= 1e-10, f"{name} gives other numbers once it is compiled")


def traced(name: str, method: Callable[..., Any], *args: Any) -> Any:
    """What a method returns as one compiled graph; LawBroken where the graph breaks."""
    torch._dynamo.reset()
    try:
        return torch.compile(method, fullgraph=True, backend="eager")(*args)
    except torch._dynamo.exc.TorchDynamoException as error:
        reason = str(error).strip().splitlines()[0]
        raise LawBroken(
            f"{name} does not compile as one graph: branch on shapes and settings, not on values, and call no "
            f".item() ({reason})"
        ) from None
