"""Variations of examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from zoo import Batch, Model, Varies, View, component, image_groups, image_problem

from .base import first

Strength = Annotated[float, Field(ge=0, le=1)]


@component("variations")
class Variations(View):
    r"""Variations: examples, and draws that begin with each of them and noise, in one row.

    .. math:: x_t = \alpha(t)\, x + \sigma(t)\, \epsilon \to x'

    A strength of 0 leaves an example as it is, 1 has nothing left of it; between them a part of the steps of a draw is
    taken.

    ValueError for a model that does not vary data or does not model images, and without data.

    Args:
        strengths: The strengths, one for each variation.
        n: The number of examples, unless another one is asked for.

    References: Meng et al., SDEdit, 2022, arXiv:2108.01073, sec. 3.

    >>> import torch, zoo
    >>> node = {"type": "diffusion", "net": "time_mlp", "solver": {"type": "euler", "steps": 4}}
    >>> model = zoo.declare(zoo.Model, node)(zoo.Event("image", zoo.Shape(1, 6, 6), levels=2))
    >>> Variations(model, strengths=[0.5, 0.8]).draw(3, 1.0, model.event.example(3, "cpu")).shape    # 3 x 3 images
    torch.Size([3, 152, 152])
    """

    def __init__(
        self,
        model: Model,
        *,
        strengths: Annotated[Sequence[Strength], Field(min_length=1, max_length=20)] = (0.2, 0.4, 0.6, 0.8),
        n: PositiveInt = 8,
    ) -> None:
        super().__init__(model)
        if not isinstance(model, Varies):
            name = model.declaration.name if model.declaration else type(model).__name__
            raise ValueError(f"needs a model that varies data, but '{name}' does not")
        problem = image_problem(model.event)
        if problem is not None:
            raise ValueError(problem)
        self.varies: Varies = model
        self.strengths, self.default_n = tuple(strengths), n

    @torch.no_grad()
    def draw(self, n: int, temperature: float, data: Batch | None = None) -> Tensor:
        if data is None:
            raise ValueError("needs data to vary: use a run, or set data")
        shown, event = first(data, n), self.model.event
        x, context = shown[event.name], self.model.given(shown)
        varied = [self.varies.vary(x, strength, context, temperature) for strength in self.strengths]
        rows = torch.stack([event.unit(each, torch.float64) for each in (x, *varied)], dim=1)  # [n, 1 + S, *shape]
        return image_groups(rows.unsqueeze(1), event)
