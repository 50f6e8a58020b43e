"""Levels as unit vectors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo import Event, component

from ...nets.level_data import levels_of
from .inputs import Inputs


@component("one_hot")
class OneHot(Inputs):
    """Each level as a unit vector: as many features as there are levels.

    >>> import torch, zoo
    >>> inputs = OneHot(zoo.Event("code", zoo.Shape(1, 1, 2), levels=3))
    >>> inputs(torch.tensor([[[[2, 0]]]]), torch.float32).flatten(2)
    tensor([[[0., 1.],
             [0., 0.],
             [1., 0.]]])
    """

    levels: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self.features = levels_of(event)
        self.register_buffer("levels", torch.arange(self.features), persistent=False)

    def forward(self, x: Tensor, dtype: Any) -> Tensor:
        return self.values(x, dtype)

    def values(self, x: Tensor, dtype: Any) -> Tensor:
        return (x.unsqueeze(-1) == self.levels).to(dtype).movedim(-1, 1).flatten(1, 2)
