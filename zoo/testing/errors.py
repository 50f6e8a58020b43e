"""Errors of broken laws, and common checks of shapes and values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..registry.part import Part
from ..shape import Shape


class LawBroken(AssertionError):
    """A component breaks a law of its kind; the message says what to change.

    ``blamed`` is the declaration of the part of it that does, where that is known.
    """

    def __init__(self, message: str, blamed: Part[Any] | None = None) -> None:
        super().__init__(message)
        self.blamed = blamed


def require(holds: bool | Tensor, message: str) -> None:
    """LawBroken with a message unless something holds.

    >>> require(1 + 1 == 2, "count again")
    """
    if not bool(holds):
        raise LawBroken(message)


def distance(a: Tensor, b: Tensor) -> float:
    """The largest absolute difference; infinite if one is NaN.

    >>> import torch
    >>> distance(torch.zeros(2), torch.tensor([1.0, float("nan")]))
    inf
    """
    return float((a - b).abs().nan_to_num(nan=float("inf")).max())


def require_event(what: str, x: Tensor, n: int, shape: Shape) -> None:
    """LawBroken unless ``x`` is ``[n, *shape]``.

    >>> require_event("z", torch.zeros(3, 2), 3, Shape(2))
    """
    wanted = [n, *shape]
    require(list(x.shape) == wanted, f"{what} has shape {list(x.shape)}: return {wanted}, as the component declares")


def require_per_sample(what: str, x: Tensor, n: int) -> None:
    """LawBroken unless ``x`` is ``[n]`` and in at least float32."""
    require(list(x.shape) == [n], f"{what} has shape {list(x.shape)}: return one number for each sample, [{n}]")
    require(
        x.dtype in (torch.float32, torch.float64),
        f"{what} is {x.dtype}: sum it in at least float32, as zoo.sum_event does",
    )
