"""Numbers that stand beside each example."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Event, component

from .context import Context


@component("feature_vector")
class FeatureVector(Context):
    r"""The numbers that come with each example, as they are, :math:`c = f`.

    ValueError for data without ``features``.

    Shapes: ``[B, features]``, unchanged.

    >>> import torch, zoo
    >>> features = FeatureVector(zoo.Event("row", zoo.Shape(2), features=3))
    >>> features(torch.ones(1, 3)).tolist()
    [[1.0, 1.0, 1.0]]
    """

    source = "features"
    like: Tensor

    def __init__(self, event: Event) -> None:
        if event.features is None:
            raise ValueError(f"'{event.name}' comes without features")
        super().__init__(event, event.features)
        # The vectors have the dtype of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(self, given: Tensor) -> Tensor:
        return given.to(self.like.dtype)
