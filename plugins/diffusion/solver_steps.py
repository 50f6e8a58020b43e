"""Draws in more and more steps of a solver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from zoo import Batch, Model, View, component, image_groups, image_problem

from ..shared.context import conditions_of_first
from ..shared.maps import columns, maps
from .diffusion import Diffusion

IMAGES, POINTS = 8, 10_000
"""By default, the draws of images and of points."""


@component("solver_steps")
class SolverSteps(View):
    """Draws of the same noise in more and more steps of the model's solver.

    Of images, a row for each draw; of points in a plane, a map of where they are for each number of steps; of single
    numbers, a column. A conditional model gets the labels or other conditions of the first examples.

    ValueError for another model than `diffusion`, for a solver that chooses its steps itself or needs more of them, for
    data that is neither images nor one or two numbers, and for a conditional model without data.

    Args:
        steps: The numbers of steps, each with the solver's own evaluations.
        n: The number of draws, unless another one is asked for; ``null`` for 8 images, or 10,000 points.

    >>> import torch, zoo
    >>> node = {"type": "diffusion", "net": "time_mlp", "solver": "euler"}
    >>> model = zoo.declare(zoo.Model, node)(zoo.Event("image", zoo.Shape(1, 6, 6), levels=2))
    >>> SolverSteps(model, steps=[1, 4]).draw(3, 1.0).shape    # three rows of two images of 48
    torch.Size([3, 152, 102])
    """

    def __init__(
        self,
        model: Model,
        *,
        steps: Annotated[Sequence[PositiveInt], Field(min_length=1, max_length=20)] = (2, 3, 4, 6, 8, 16, 32, 64),
        n: PositiveInt | None = None,
    ) -> None:
        super().__init__(model)
        if not isinstance(model, Diffusion):
            name = model.declaration.name if model.declaration else type(model).__name__
            raise ValueError(f"needs a model 'diffusion', got '{name}'")
        if model.solver.order is None:
            raise ValueError("its solver chooses the steps itself: set one with a number of steps, such as 'heun'")
        if min(steps) < model.solver.fewest:
            raise ValueError(f"its solver needs at least {model.solver.fewest} steps, got {min(steps)}")
        problem = image_problem(model.event)
        if problem is not None and tuple(model.event.shape) not in {(1,), (2,)}:
            raise ValueError(f"{problem}, or of one or two numbers")
        self.diffusion: Diffusion = model
        self.steps = tuple(steps)
        self.default_n = n or (POINTS if problem is not None else IMAGES)

    @torch.no_grad()
    def draw(self, n: int, temperature: float, data: Batch | None = None) -> Tensor:
        event, context = self.model.event, conditions_of_first(self.model, n, data)
        z = self.diffusion.draw_latent(n, context, temperature)
        draws = [self.diffusion.expect_in(steps, z, context) for steps in self.steps]
        if len(event.shape) == 3:
            return image_groups(torch.stack(draws, dim=1).unsqueeze(1), event)
        return columns(draws) if tuple(event.shape) == (1,) else maps(draws)
