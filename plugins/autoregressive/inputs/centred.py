"""Levels between -1 and 1."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zoo import component

from .inputs import Inputs


@component("centred")
class Centred(Inputs):
    r"""Levels between -1 and 1: :math:`2x / (L - 1) - 1`.

    What a convolution sees beyond the edge of an image, zero, is then no colour but the middle one.

    >>> import torch, zoo
    >>> Centred(zoo.Event("row", zoo.Shape(3), levels=3))(torch.tensor([[0, 1, 2]]), torch.float32)
    tensor([[-1.,  0.,  1.]])
    """

    def forward(self, x: Tensor, dtype: Any) -> Tensor:
        return 2.0 * self.event.unit(x, dtype) - 1.0

    def values(self, x: Tensor, dtype: Any) -> Tensor:
        return 2.0 * self.event.unit(x, dtype) - 1.0
