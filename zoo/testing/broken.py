"""What is raised when a component breaks a law."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..part import Part


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
    """The largest absolute difference; infinite where one is NaN.

    >>> import torch
    >>> distance(torch.zeros(2), torch.tensor([1.0, float("nan")]))
    inf
    """
    return float((a - b).abs().nan_to_num(nan=float("inf")).max())
