"""Levels between 0 and 1."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zoo import component

from .inputs import Inputs


@component("unit")
class Unit(Inputs):
    r"""Levels on the scale of `zoo.Event.unit`: :math:`x / (L - 1)`.

    The first level is then what a convolution sees beyond the edge of an image.

    >>> import torch, zoo
    >>> Unit(zoo.Event("row", zoo.Shape(3), levels=3))(torch.tensor([[0, 1, 2]]), torch.float32)
    tensor([[0.0000, 0.5000, 1.0000]])
    """

    def forward(self, x: Tensor, dtype: Any) -> Tensor:
        return self.event.unit(x, dtype)

    def values(self, x: Tensor, dtype: Any) -> Tensor:
        return self.event.unit(x, dtype)
