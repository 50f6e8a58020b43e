"""The density of a model in the plane."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Model, Samples, Scores, View, component, heat_map

CELLS = 160
"""Points of the grid along each axis."""


@component("density")
class Density(View):
    """The density of a model of points in the plane: the darker, the likelier; the second axis points up.

    The frame is that of ``n`` draws (at least 1000). Raises ValueError for a model that does not score and sample, or
    of data other than points ``[2]``.

    >>> import torch, zoo
    >>> node = {"type": "flow", "base": "standard_normal", "transforms": ["act_norm"]}
    >>> flow = zoo.declare(zoo.Model, node)(zoo.Event("point", zoo.Shape(2)))
    >>> Density(flow).draw(1000, 1.0).shape
    torch.Size([3, 320, 320])
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        if not (isinstance(model, Scores) and isinstance(model, Samples)):
            raise ValueError("needs a model that scores and samples")
        if tuple(model.event.shape) != (2,):
            raise ValueError(f"needs points in the plane, not data of shape {model.event.shape}")
        self.scores, self.samples = model, model

    def draw(self, n: int, temperature: float) -> Tensor:
        points = self.samples.sample(max(n, 1000), temperature=temperature)
        low, high = points.amin(0), points.amax(0)
        centre, half = (low + high) / 2, (high - low).max() / 2
        steps = torch.linspace(-1.0, 1.0, CELLS, device=points.device, dtype=points.dtype) * half
        grid = torch.cartesian_prod(centre[0] + steps, centre[1] + steps)
        log_p = self.scores.log_prob(grid).reshape(CELLS, CELLS)
        return heat_map((log_p - log_p.max()).exp().sqrt().T.flip(0))
