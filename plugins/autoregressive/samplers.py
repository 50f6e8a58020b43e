"""Samplers: one number after the other, from a cache, or by fixed points."""

from __future__ import annotations

from abc import ABC, abstractmethod
from operator import itemgetter
from typing import final

import torch
from torch import Tensor

from zoo import Causal, Condition, Event, Known, Model, Sampler, advanced, component, map_condition


class AncestralSampler(Sampler, ABC):
    """A way from uniform numbers to a draw of a causal model; ValueError for another model.

    All ways give the same levels for the same uniforms, to the rounding of what the network computes.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        if not isinstance(model, Causal):
            raise ValueError("draws from models of one number after the other")
        self.causal: Causal = model

    @abstractmethod
    def draw(self, u: Tensor, context: Condition | None, temperature: float, known: Known | None) -> Tensor:
        """The data that uniforms stand for, ``[n, *shape]``."""

    @final
    @torch.no_grad()
    def sample(
        self,
        n: int,
        context: Condition | None = None,
        temperature: float = 1.0,
        u: Tensor | None = None,
        known: Known | None = None,
    ) -> Tensor:
        """``n`` draws, by uniforms of one's own, and of data of which a part is known, where they are given."""
        return self.draw(self.causal.uniforms(n) if u is None else u, context, temperature, known)


@component("naive")
class Naive(AncestralSampler):
    r"""Draws by the definition: a whole pass of the network for each number, of which one is used.

    .. math:: x_i \leftarrow F(x, u)_i, \qquad i = 1, \dots, D

    What other ways of drawing are compared with. It takes as many passes as there are numbers.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.ranks = self.causal.ranks()

    def draw(self, u: Tensor, context: Condition | None, temperature: float, known: Known | None) -> Tensor:
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


@component("cached")
class Cached(AncestralSampler):
    """Draws number by number, each layer keeping the rows that later numbers ask for: about one pass in all.

    ValueError for a model with a part that cannot go number by number: take 'jacobi'.

    References: Ramachandran et al., Fast Generation for Convolutional Autoregressive Models, 2017, arXiv:1704.06001.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        if not self.causal.kept:
            raise ValueError("a part of the model cannot go number by number: take 'jacobi'")

    def draw(self, u: Tensor, context: Condition | None, temperature: float, known: Known | None) -> Tensor:
        return self.causal.unroll(u, context, temperature, known)


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

    def draw(self, u: Tensor, context: Condition | None, temperature: float, known: Known | None) -> Tensor:
        return fixed_point(self.causal, self.event, u, context, temperature, known)


@torch.no_grad()
def fixed_point(
    model: Causal, event: Event, u: Tensor, context: Condition | None, temperature: float, known: Known | None
) -> Tensor:
    """The data that a causal model's draw leaves as they are."""
    n = u.shape[0]
    x = torch.zeros(n, *event.shape, dtype=torch.uint8, device=u.device) if known is None else known.x.clone()
    x = x if event.levels is None or event.levels <= 256 else x.long()
    moving = torch.arange(n, device=u.device)
    for _ in range(event.shape.size + 1):
        rows = itemgetter(moving)
        before = x[moving]
        after = model.redraw(before, u[moving], map_condition(rows, context), temperature)
        if known is not None:
            after = torch.where(known.mask[moving], before, after)
        x[moving] = after
        moving = moving[(after != before).flatten(1).any(1)]
        advanced(n - moving.shape[0], n)
        if moving.shape[0] == 0:
            return x
    raise RuntimeError("its draws do not settle: the model is not causal")
