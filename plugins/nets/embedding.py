"""Labels as learned vectors."""

from __future__ import annotations

from pydantic import PositiveInt
from torch import Tensor, nn

from zoo import Event, component

from .context import Context
from .labels import classes_of


@component("embedding")
class Embedding(Context):
    r"""A learned vector for each label, :math:`c = E_y`, from standard normal noise.

    A vector has ``size`` numbers, the ``context`` that conditioners declare. ValueError for data without labels.

    Shapes: labels ``[B]`` to ``[B, size]``.

    >>> import torch, zoo
    >>> embedding = Embedding(zoo.Event("point", zoo.Shape(2), classes=3), size=4)
    >>> embedding(torch.tensor([2, 0])).shape
    torch.Size([2, 4])
    """

    source = "label"

    def __init__(self, event: Event, *, size: PositiveInt = 16) -> None:
        super().__init__(event, size)
        self.vectors = nn.Embedding(classes_of(event), size)

    def forward(self, given: Tensor) -> Tensor:
        c: Tensor = self.vectors(given.long())
        return c
