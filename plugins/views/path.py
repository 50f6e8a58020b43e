"""The way of draws from noise to data."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from zoo import Batch, Model, Traces, View, component, image_groups, image_problem

from ..shared.context import conditions_of_first
from ..shared.maps import columns, maps

IMAGES, POINTS = 8, 10_000
"""By default, the draws of images and of points."""


@component("path")
class Path(View):
    r"""The way of draws from noise to data: of images, a row for each draw; of points, a map of where they are in turn.

    .. math:: x_{t_1} \to \dots \to x_{t_0}

    at equal distances of the steps, noise scaled to about the size of data. The maps of points in a plane share one
    frame, and are darker where there are more; arrows show where the points of a neighbourhood go until the next map.
    Those of single numbers are the columns of one map, from left to right.

    A conditional model gets the labels or other conditions of the first examples. ValueError for a model whose draws
    are not made in steps, for data that is neither images nor one or two numbers, and for a conditional model without
    data.

    Args:
        frames: The number of states, the last one finished; fewer if there are fewer steps.
        n: The number of draws, unless another one is asked for; ``null`` for 8 images, or 10,000 points.

    References: Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239, fig. 6.

    >>> import torch, zoo
    >>> node = {"type": "diffusion", "net": "time_mlp", "solver": {"type": "euler", "steps": 8}}
    >>> model = zoo.declare(zoo.Model, node)(zoo.Event("image", zoo.Shape(1, 6, 6), levels=2))
    >>> Path(model).draw(3, 1.0).shape    # three rows of eight images of 48
    torch.Size([3, 152, 402])
    """

    def __init__(
        self, model: Model, *, frames: Annotated[int, Field(ge=2, le=20)] = 8, n: PositiveInt | None = None
    ) -> None:
        super().__init__(model)
        if not isinstance(model, Traces):
            name = model.declaration.name if model.declaration else type(model).__name__
            raise ValueError(f"needs a model whose draws are made in steps, but those of '{name}' are not")
        problem = image_problem(model.event)
        if problem is not None and tuple(model.event.shape) not in {(1,), (2,)}:
            raise ValueError(f"{problem}, or of one or two numbers")
        self.traces: Traces = model
        self.frames = frames
        self.default_n = n or (POINTS if problem is not None else IMAGES)

    @torch.no_grad()
    def draw(self, n: int, temperature: float, data: Batch | None = None) -> Tensor:
        event = self.model.event
        context = conditions_of_first(self.model, n, data)
        states = self.traces.trace(n, self.frames, context, temperature)  # [F, n, *shape]
        if len(event.shape) == 3:
            return image_groups(states.transpose(0, 1).unsqueeze(1), event)
        if tuple(event.shape) == (1,):
            return columns([*states])
        return maps([*states], [*(states[1:] - states[:-1]), None])
