"""Checks that the kinds share: does a tensor have the shape that was asked for?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..shape import Shape
from .capabilities import TakesContext

if TYPE_CHECKING:
    from torch import Tensor


def misshapen(what: str, x: Any, shape: Shape) -> str | None:
    """A complaint unless ``x`` is a tensor ``[B, *shape]``."""
    got = tuple(x.shape) if hasattr(x, "shape") else type(x).__name__
    if isinstance(got, tuple) and got[1:] == tuple(shape) and got:
        return None
    seen = f"[{', '.join(map(str, got))}]" if isinstance(got, tuple) else got
    return f"{what} is {seen}, expected [B, {', '.join(map(str, shape))}]"


def not_per_sample(what: str, x: Any) -> str | None:
    """A complaint unless ``x`` is a tensor ``[B]``."""
    if hasattr(x, "shape") and len(x.shape) == 1:
        return None
    got = f"[{', '.join(map(str, x.shape))}]" if hasattr(x, "shape") else type(x).__name__
    return f"{what} is {got}, expected [B]: one number for each sample"


def not_a_pair(what: str, result: Any) -> str | None:
    """A complaint unless ``result`` is a tuple of two."""
    if isinstance(result, tuple) and len(result) == 2:
        return None
    return f"{what} is {type(result).__name__}, expected a pair"


def wrong_context(part: Any, args: tuple[Any, ...]) -> str | None:
    """A complaint where the second argument is not the context that a part declares: ``[B, context, ...]``."""
    wanted = part.context if isinstance(part, TakesContext) else 0
    if wanted == 0:
        return None
    context = args[1] if len(args) > 1 else None
    if context is None:
        return f"got no context, expected one of {wanted} numbers"
    return None if context.shape[1] == wanted else f"the context has {context.shape[1]} numbers, expected {wanted}"


def sum_event(x: Tensor) -> Tensor:
    """Sum over all but the batch: ``[B, ...] -> [B]``, in at least float32.

    >>> import torch
    >>> sum_event(torch.ones(2, 3, 4))
    tensor([12., 12.])
    """
    import torch

    if x.dtype in (torch.float16, torch.bfloat16):
        x = x.float()
    return x.sum(1) if x.dim() == 2 else x.sum(dim=tuple(range(1, x.dim())))
