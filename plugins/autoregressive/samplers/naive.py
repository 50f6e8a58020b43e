"""One whole pass for each number."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Known, Model, advanced, component

from .ancestral import AncestralSampler


@component("naive")
class Naive(AncestralSampler):
    r"""Draws by the definition: a whole pass of the network for each number, of which one is used.

    .. math:: x_i \leftarrow F(x, u)_i, \qquad i = 1, \dots, D

    What other ways of drawing are compared with. It takes as many passes as there are numbers.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.ranks = self.causal.ranks()

    def draw(self, u: Tensor, context: Tensor | None, temperature: float, known: Known | None) -> Tensor:
        ranks = self.ranks.reshape(tuple(self.model.event.shape)).to(u.device)
        x = torch.zeros(u.shape[0], *ranks.shape, dtype=torch.uint8, device=u.device)
        if known is not None:
            x = torch.where(known.mask, known.x, torch.zeros_like(known.x))
        steps = int(ranks.max()) + 1
        for rank in range(steps):
            here = (ranks == rank).expand_as(x)
            here = here if known is None else here & ~known.mask
            drawn = self.causal.redraw(x, u, context, temperature)
            x = torch.where(here, drawn, x.to(drawn.dtype))
            advanced(rank + 1, steps)
        return x
