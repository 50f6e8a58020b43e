"""All numbers at once, until nothing changes."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Causal, Event, Known, Model, advanced, component

from .ancestral import AncestralSampler


@component("jacobi")
class Jacobi(AncestralSampler):
    r"""Draws as a fixed point: all numbers are drawn at once from the last ones, until nothing changes.

    .. math:: x \leftarrow F(x, u)

    After k passes the first k numbers are right, and in practice many more, since most numbers hardly depend on those
    just before. The pass that changes nothing is the proof of all of them. An example that has settled is passed no
    more. To go block by block, after Gauss and Seidel, would need no fewer passes: each computes all numbers anyway.

    References: Song et al., Accelerating Feedforward Computation via Parallel Nonlinear Equation Solving, 2021,
    arXiv:2002.03629; Wiggers and Hoogeboom, Predictive Sampling with Forecasting Autoregressive Models, 2020,
    arXiv:2002.09928.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.event = model.event

    def draw(self, u: Tensor, context: Tensor | None, temperature: float, known: Known | None) -> Tensor:
        return fixed_point(self.causal, self.event, u, context, temperature, known)


@torch.no_grad()
def fixed_point(
    model: Causal, event: Event, u: Tensor, context: Tensor | None, temperature: float, known: Known | None
) -> Tensor:
    """The data that a causal model's draw leaves as they are."""
    n = u.shape[0]
    x = torch.zeros(n, *event.shape, dtype=torch.uint8, device=u.device) if known is None else known.x.clone()
    x = x if event.levels is None or event.levels <= 256 else x.long()
    moving = torch.arange(n, device=u.device)
    for _ in range(event.shape.size + 1):
        told = None if context is None else context[moving]
        before = x[moving]
        after = model.redraw(before, u[moving], told, temperature)
        if known is not None:
            after = torch.where(known.mask[moving], before, after)
        x[moving] = after
        moving = moving[(after != before).flatten(1).any(1)]
        advanced(n - moving.shape[0], n)
        if moving.shape[0] == 0:
            return x
    raise RuntimeError("its draws do not settle: the model is not causal")
