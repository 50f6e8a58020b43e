"""What is raised when a component breaks a law."""

from __future__ import annotations

from torch import Tensor


class LawBroken(AssertionError):
    """A component breaks a law of its kind; the message says what to change."""


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
