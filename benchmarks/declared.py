"""A flow of zoo, as its users declare it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

import zoo

from .contender import Contender


def declared_flow(shape: zoo.Shape, transforms: Sequence[Mapping[str, Any]], **settings: Any) -> Contender:
    """These transforms over a standard normal base, for data ``[B, *shape]``; ``settings`` are the model's others."""
    node = {"type": "flow", "base": "standard_normal", "transforms": list(transforms), **settings}
    model = zoo.declare(zoo.Model, node)(zoo.Event("x", shape))
    clock = zoo.Clock(torch.zeros((), dtype=torch.int64), steps=1000)

    def loss(x: Tensor) -> Tensor:
        nll: Tensor = model({"x": x}, clock).loss
        return nll

    return Contender(model, loss, model.sample)
