"""Samplers of causal models: by definition, cached, and by fixed-point iteration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from operator import itemgetter
from typing import final

import torch
from torch import Tensor

from zoo import Causal, Condition, Event, Known, Model, Sampler, advanced, component, map_condition


class AncestralSampler(Sampler, ABC):
    """Sampler that turns uniform numbers into a sample of a causal model; ValueError for another model.

    All such samplers give the same levels for the same uniforms, up to the rounding errors of the network.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        if not isinstance(model, Causal):
            raise ValueError("needs an autoregressive model")
        self.causal: Causal = model

    @abstractmethod
    def draw(self, u: Tensor, context: Condition | None, temperature: float, known: Known | None) -> Tensor:
        """The sample for given uniforms, ``[n, *shape]``."""

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
        """``n`` samples, with optional uniforms, and optional known parts of the data."""
        return self.draw(self.causal.uniforms(n) if u is None else u, context, temperature, known)


@component("naive")
class Naive(AncestralSampler):
    r"""Naive sampler: a full pass of the network for each number, of which one output is used.

    .. math:: x_i \leftarrow F(x, u)_i, \qquad i = 1, \dots, D

    It is the reference for other samplers, and takes as many passes as there are numbers.
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
    """Cached sampler: generates number by number, with the rows that later numbers need in a cache; about one pass in
    all.

    ValueError for a model with a part that cannot be evaluated number by number: use 'jacobi'.

    References: Ramachandran et al., Fast Generation for Convolutional Autoregressive Models, 2017, arXiv:1704.06001.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        if not self.causal.kept:
            raise ValueError("a part of the model cannot be evaluated number by number: use 'jacobi'")

    def draw(self, u: Tensor, context: Condition | None, temperature: float, known: Known | None) -> Tensor:
        return self.causal.unroll(u, context, temperature, known)


@component("jacobi")
class Jacobi(AncestralSampler):
    r"""Jacobi sampler: all numbers are redrawn at once, given the last ones, until nothing changes.

    .. math:: x \leftarrow F(x, u)

    After k passes the first k numbers are correct, and in practice many more, since most numbers depend little on those
    just before. A pass without a change proves that all are correct. Examples that have converged are not passed again.
    Gauss-Seidel iteration, block by block, would not need fewer passes, since each pass computes all numbers anyway.

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
    """The sample of a causal model for given uniforms, by fixed-point iteration."""
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
    raise RuntimeError("Jacobi iteration did not converge: the model is not causal")
