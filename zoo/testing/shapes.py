"""Shared checks of what a method returned."""

from __future__ import annotations

import torch
from torch import Tensor

from ..shape import Shape
from .broken import require


def require_event(what: str, x: Tensor, n: int, shape: Shape) -> None:
    """LawBroken unless ``x`` is ``[n, *shape]``.

    >>> require_event("z", torch.zeros(3, 2), 3, Shape(2))
    """
    wanted = [n, *shape]
    require(list(x.shape) == wanted, f"{what} has shape {list(x.shape)}: return {wanted}, as the component declares")


def require_per_sample(what: str, x: Tensor, n: int) -> None:
    """LawBroken unless ``x`` is ``[n]`` and in at least float32."""
    require(list(x.shape) == [n], f"{what} has shape {list(x.shape)}: return one number a sample, [{n}]")
    require(
        x.dtype in (torch.float32, torch.float64),
        f"{what} is {x.dtype}: sum it in at least float32, as zoo.sum_event does",
    )
