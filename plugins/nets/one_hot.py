"""Labels as unit vectors."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Event, component

from .context import Context
from .labels import classes_of


@component("one_hot")
class OneHot(Context):
    r"""The label as a unit vector, :math:`c = e_y`, of as many numbers as there are classes.

    A linear function of it has parameters of its own for each class. ValueError for data without labels.

    Shapes: labels ``[B]`` to ``[B, classes]``.

    >>> import torch, zoo
    >>> one_hot = OneHot(zoo.Event("point", zoo.Shape(2), classes=3))
    >>> one_hot(torch.tensor([2, 0])).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """

    source = "label"
    vectors: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__(event, classes_of(event))
        self.register_buffer("vectors", torch.eye(self.size), persistent=False)

    def forward(self, given: Tensor) -> Tensor:
        return self.vectors.index_select(0, given.long())
