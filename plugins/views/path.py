"""The way of draws from noise to data."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from zoo import Batch, Condition, Model, Traces, View, component, heat_map, image_groups, image_problem

from .base import first

CELLS = 120
"""Along each axis of a map."""
GAP = 4
"""Pixels between two maps."""
IMAGES, POINTS = 8, 10_000
"""By default, the draws of images and of points."""


@component("path")
class Path(View):
    r"""The way of draws from noise to data: of images, a row for each draw; of points, a map of where they are in turn.

    .. math:: x_{t_1} \to \dots \to x_{t_0}

    at equal distances of the steps, noise scaled to about the size of data. The maps of points in a plane share one
    frame, and are darker where there are more; those of single numbers are the columns of one map, from left to right.

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
        context = self._context(n, data)
        states = self.traces.trace(n, self.frames, context, temperature)  # [F, n, *shape]
        if len(event.shape) == 3:
            return image_groups(states.transpose(0, 1).unsqueeze(1), event)
        return _columns(states) if tuple(event.shape) == (1,) else _maps(states)

    def _context(self, n: int, data: Batch | None) -> Condition | None:
        """The conditions of the first examples, over again where there are fewer."""
        if not self.model.conditions:
            return None
        if data is None:
            raise ValueError(f"needs data: the model is conditioned on its {' and '.join(self.model.conditions)}")
        rows = torch.arange(n) % len(next(iter(data.values())))
        return self.model.given({name: tensor[rows.to(tensor.device)] for name, tensor in first(data, n).items()})


def _maps(states: Tensor) -> Tensor:
    """Maps of points ``[F, n, 2]``, in rows of four."""
    low, high = _frame(states)
    counts = [_shades(torch.histogramdd(x, [CELLS, CELLS], range=[low, high, low, high]).hist) for x in _finite(states)]
    maps = [heat_map(count.T.flip(0)) for count in counts]
    side = maps[0].shape[1]
    per_row = 4 if len(maps) > 3 else len(maps)
    rows = -(-len(maps) // per_row)
    canvas = torch.full((3, rows * (side + GAP) - GAP, per_row * (side + GAP) - GAP), 200, dtype=torch.uint8)
    for i, tile in enumerate(maps):
        top, left = i // per_row * (side + GAP), i % per_row * (side + GAP)
        canvas[:, top : top + side, left : left + side] = tile
    return canvas


def _columns(states: Tensor) -> Tensor:
    """A map of numbers ``[F, n, 1]``, a column for each state."""
    low, high = _frame(states)
    counts = [_shades(torch.histogramdd(x, [CELLS], range=[low, high]).hist) for x in _finite(states)]
    wide = max(CELLS // len(counts), 1)
    return heat_map(torch.stack(counts, dim=1).flip(0).repeat_interleave(wide, 1))


def _finite(states: Tensor) -> list[Tensor]:
    return [x[x.isfinite().all(1)] for x in states.double().cpu()]


def _frame(states: Tensor) -> tuple[float, float]:
    """The interval with nearly all numbers."""
    x = torch.cat(_finite(states)).abs().flatten()
    half = 1.1 * float(x.sort().values[int(0.995 * (len(x) - 1))]) if len(x) else 1.0
    return -half, max(half, -half + 1e-6)


def _shades(counts: Tensor) -> Tensor:
    """Counts between 0 and 1, the most of them 1."""
    return (counts / counts.max().clamp_min(1.0)).sqrt()
