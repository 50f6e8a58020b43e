"""Levels as learned vectors."""

from __future__ import annotations

from typing import Any

from pydantic import PositiveInt
from torch import Tensor, nn

from zoo import Event, component

from ...nets.level_data import levels_of
from .inputs import Inputs


@component("embedding")
class Embedding(Inputs):
    r"""A learned vector for each level, :math:`E_x`: for levels without an order, such as codes.

    Shapes: ``size`` features for each number.

    >>> import torch, zoo
    >>> inputs = Embedding(zoo.Event("code", zoo.Shape(1, 2, 2), levels=64), size=3)
    >>> inputs(torch.zeros(5, 1, 2, 2, dtype=torch.int64), torch.float32).shape
    torch.Size([5, 3, 2, 2])
    """

    def __init__(self, event: Event, *, size: PositiveInt = 16) -> None:
        super().__init__(event)
        self.features = size
        self.vectors = nn.Embedding(levels_of(event), size)

    def forward(self, x: Tensor, dtype: Any) -> Tensor:
        return self.values(x, dtype)

    def values(self, x: Tensor, dtype: Any) -> Tensor:
        vectors: Tensor = self.vectors(x.long())
        return vectors.to(dtype).movedim(-1, 1).flatten(1, 2)
