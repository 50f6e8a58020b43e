"""How a causal layer goes through an image pixel by pixel."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class Stepper(ABC):
    """A layer on its way through ``n`` images: it keeps what later places ask for, and no more.

    Rows come from the top. `row` is called first in each, `step` then for each column from the left; for a column it
    may be called again with what has changed there meanwhile, and the last call counts. What both compute is what
    ``forward`` does, to rounding.
    """

    @abstractmethod
    def row(self, v: Tensor | None) -> Tensor | None:
        """The next row of the vertical stream, ``[n, C, 1, W]``; the one before is complete."""

    @abstractmethod
    def step(self, j: int, h: Tensor) -> Tensor:
        """The features at column j of the row, ``[n, C]``."""
