"""Ensemble of one network over several orders of the data."""

from __future__ import annotations

import math
from operator import itemgetter
from random import Random
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeInt
from torch import Tensor

from zoo import (
    NOT_A_SIZE,
    Batch,
    Clock,
    Completes,
    Condition,
    Event,
    Known,
    Model,
    Part,
    Samples,
    Scores,
    Terms,
    advanced,
    component,
    map_condition,
    named,
    sum_event,
    unseen_share,
)

from ...nets.masked.net import AnyOrder, AutoregressiveNet
from ...shared.context import Context, check_context, vectors_of
from ...shared.events import levels_of
from ..heads.base import Head
from ..inputs import Inputs

COUNTED = 64
"""The largest number of ways to complete an example that are enumerated."""


@component("order_ensemble", example={"net": {"type": "made", "width": 8}, "head": "categorical", "orders": 2})
class OrderEnsemble(Model, Completes, Scores, Samples):
    r"""Order ensemble: a mixture of autoregressive models with different orders of the data and shared weights.

    .. math:: p(x) = \frac{1}{K} \sum_{k=1}^K p(x \mid \pi_k), \qquad
       p(x \mid \pi_k) = \prod_i p(x_{\pi_k(i)} \mid x_{\pi_k(1)}, \dots, x_{\pi_k(i-1)})

    A training step takes one order at random and minimises :math:`-\log p(x \mid \pi_k)`, whose mean is at least the
    mixture's; the likelihood takes all orders and is exact. A sample takes one.

    A completion is a draw of :math:`p(x_u \mid x_o)`, with :math:`x_o` the known numbers and :math:`x_u` the others. If
    there are at most 64 ways to complete an example it is drawn among them by :math:`p`, exactly. Otherwise each order
    draws one candidate, number by number with the known ones in their places, and one of the K is taken with

    .. math:: w_k \propto \prod_{i \in o} p(x_i \mid \text{what comes before } i \text{ in } \pi_k)

    which is :math:`p_k(x_o)` if an order has all known numbers first: if all orders do, this is exact too. The weights
    of other orders depend on their draws, and the completion is then by importance sampling: close to the conditional
    for many orders, but not exact. A ``temperature`` sharpens the draws of each order, and not the weights.

    With a ``context`` it models data given labels or features, which the net gets. ValueError for a net with a single
    order, if a context is declared and the net takes none, or the other way round, and for continuous data.

    Args:
        net: The autoregressive network, of any order.
        head: The distribution of a number given its parameters.
        inputs: The encoding of levels as input of the net.
        orders: The number of orders, :math:`K`.
        seed: The seed of the orders.
        context: The conditioning on labels or features; ``null`` for none.

    References: Germain et al., MADE, 2015, arXiv:1502.03509, sec. 4.2; Uria et al., A Deep and Tractable Density
    Estimator, 2014, arXiv:1310.1757, sec. 4.

    Shapes: data ``[B, *event.shape]``, integers; ``log_prob`` ``[B]``, in nats, by K passes of the net.

    >>> import zoo
    >>> node = {"type": "order_ensemble", "net": "made", "head": "bernoulli", "orders": 4}
    >>> model = zoo.declare(zoo.Model, node)(zoo.Event("bits", zoo.Shape(3), levels=2))
    >>> model.ranks[0].tolist(), model.log_prob(model.sample(2)).exp().tolist()
    ([2, 1, 0], [0.125, 0.125])
    """

    exact = True
    ranks: Tensor

    def __init__(
        self,
        event: Event,
        *,
        net: Part[AutoregressiveNet],
        head: Part[Head],
        inputs: Part[Inputs] = named("centred"),
        orders: Annotated[int, Field(ge=1, le=1024)] = 32,
        seed: Annotated[NonNegativeInt, NOT_A_SIZE] = 0,
        context: Part[Context] | None = None,
    ) -> None:
        super().__init__(event)
        self.levels = levels_of(event)
        self.head = head(event)
        self.inputs = inputs(event)
        self.net: Any = net(event.shape, self.head.count, self.head.together, self.inputs.features)
        self.context = context(event) if context else None
        check_context(self.context, self.net)
        self.conditioned_on = self.context.sources if self.context else None
        if not isinstance(self.net, AnyOrder):
            raise ValueError(f"needs a net for any order, such as 'made', but '{net.name}' has one order")
        self.orders = orders
        ranks = _drawn_ranks(orders, event.shape.size, seed)
        self.register_buffer("ranks", ranks.to(torch.get_default_device()), persistent=False)

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        k = torch.randint(self.orders, (1,), device=self.ranks.device)
        ranks = self.ranks.index_select(0, k).squeeze(0)
        nll = -self.log_prob_in(batch[self.event.name], ranks, self.given(batch))
        return Terms(nll.mean(), {"nll": nll})

    def log_prob(self, x: Tensor, context: Condition | None = None) -> Tensor:
        of_each = torch.stack([self.log_prob_in(x, ranks, context) for ranks in self.ranks], dim=1)
        return of_each.logsumexp(1) - math.log(self.orders)

    def log_prob_in(self, x: Tensor, ranks: Tensor, context: Condition | None = None) -> Tensor:
        r""":math:`\log p(x \mid \pi)`, ``[B]``, for the order with these ``ranks``."""
        return sum_event(self._conditionals_in(x, ranks, vectors_of(self.context, context)))

    def _conditionals_in(self, x: Tensor, ranks: Tensor, c: Tensor | None) -> Tensor:
        """The log-probability of each number given those before it, ``[B, *event.shape]``."""
        dtype = next(self.net.parameters()).dtype
        h = self.net.in_order(self.inputs(x, dtype), ranks, c)
        log_p: Tensor = self.head.log_prob(x, h if h.dtype == dtype else h.to(dtype))
        return log_p

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        chosen = torch.randint(self.orders, (n,), device=self.ranks.device)
        nothing = torch.zeros(n, *self.event.shape, dtype=torch.int64, device=self.ranks.device)
        return self._drawn(chosen, Known(nothing, nothing.bool()), context, temperature)

    @torch.no_grad()
    def complete(self, known: Known, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        x = known.x.to(torch.int64, copy=True)
        ways = self._ways(known.mask) if temperature == 1.0 else torch.full((len(x),), math.inf)
        for many in sorted(set(ways[ways > 1].tolist())):
            rows = (ways == many).nonzero().squeeze(1).to(x.device)
            given, c = Known(known.x[rows].long(), known.mask[rows]), map_condition(itemgetter(rows), context)
            x[rows] = self._enumerated(given, c) if many <= COUNTED else self._chosen(given, c, temperature)
        return self._as_levels(x)

    def unseen(self, known: Tensor) -> Tensor:
        of_each = torch.stack([unseen_share(known, ranks) for ranks in self.ranks], dim=1)
        return torch.where(self._ways(known).to(of_each.device) <= COUNTED, 0.0, of_each.amin(1))

    def _ways(self, known: Tensor) -> Tensor:
        """The number of ways to complete each example, ``[n]``; infinite if they are too many to enumerate."""
        ways = self.levels ** (~known).flatten(1).sum(1, dtype=torch.float64).cpu()
        return torch.where(ways <= COUNTED, ways, math.inf)

    def _enumerated(self, known: Known, context: Condition | None) -> Tensor:
        """Draws among all ways to complete examples that have equally many."""
        missing = (~known.mask).flatten(1).nonzero()[:, 1].view(len(known.x), -1)  # [n, M]
        levels = torch.arange(self.levels, device=missing.device)
        ways = torch.cartesian_prod(*[levels] * missing.shape[1]).view(-1, missing.shape[1])  # [ways, M]
        x = known.x.flatten(1).unsqueeze(1).repeat(1, len(ways), 1)  # [n, ways, D]
        x.scatter_(2, missing.unsqueeze(1).expand(-1, len(ways), -1), ways.expand(len(x), -1, -1))
        c = map_condition(lambda x: x.repeat_interleave(len(ways), 0), context)
        log_p = self.log_prob(x.view(-1, *self.event.shape), c).view(len(x), -1)  # [n, ways]
        chosen = torch.multinomial(log_p.double().softmax(1), 1).squeeze(1)
        return x[torch.arange(len(x), device=x.device), chosen].view_as(known.x)

    def _chosen(self, known: Known, context: Condition | None, temperature: float) -> Tensor:
        """One candidate of each order, of which one is drawn by the probability of the known numbers in its order."""
        c = vectors_of(self.context, context)
        flat = Known(known.x.flatten(1), known.mask.flatten(1))
        best = torch.full((len(known.x),), -math.inf, dtype=torch.float64, device=known.x.device)
        x = known.x
        for k, ranks in enumerate(self.ranks):
            candidate = self._drawn_in(ranks, flat, c, temperature).view_as(x)
            log_w = sum_event(torch.where(known.mask, self._conditionals_in(candidate, ranks, c), 0.0)).double()
            # The largest of log-weights with Gumbel noise is a choice by weight.
            score = log_w - torch.empty_like(log_w).exponential_().log()
            x = torch.where((score > best).view(-1, *[1] * (x.dim() - 1)), candidate, x)
            best = torch.maximum(best, score)
            advanced(k + 1, self.orders)
        return x

    def _drawn(self, chosen: Tensor, known: Known, context: Condition | None, temperature: float) -> Tensor:
        """Samples, each in the order that is chosen for it."""
        c = vectors_of(self.context, context)
        x = torch.empty(chosen.shape[0], *self.event.shape, dtype=torch.int64, device=self.ranks.device)
        for k, ranks in enumerate(self.ranks):
            rows = (chosen == k).nonzero().squeeze(1)
            if rows.shape[0] > 0:
                given = Known(known.x[rows].long().flatten(1), known.mask[rows].flatten(1))
                drawn = self._drawn_in(ranks, given, None if c is None else c[rows], temperature)
                x[rows] = drawn.view(-1, *self.event.shape)
            advanced(k + 1, self.orders)
        return self._as_levels(x)

    def _as_levels(self, x: Tensor) -> Tensor:
        return x.to(torch.uint8) if self.levels <= 256 else x

    def _drawn_in(self, ranks: Tensor, known: Known, c: Tensor | None, temperature: float) -> Tensor:
        """Samples ``[n, D]`` in one order."""
        n, D = known.x.shape
        like = next(self.net.parameters())
        uniform = torch.rand(n, D, self.head.uniforms, dtype=like.dtype, device=like.device).unbind(1)
        drawn: dict[int, Tensor] = {}

        def solve(i: int, h: Tensor) -> Tensor:
            here = Known(known.x[:, i : i + 1], known.mask[:, i : i + 1])
            value = torch.where(here.mask, here.x, self.head.draw(h, uniform[i], temperature, here))
            drawn[i] = value.squeeze(1)
            return self.inputs.values(value, h.dtype).squeeze(1)

        self.net.unroll_in(ranks, solve, n, c)
        return torch.stack([drawn[i] for i in range(D)], dim=1)


def _drawn_ranks(orders: int, size: int, seed: int) -> Tensor:
    """The rank of each number in each order: int64 ``[orders, size]``, a pure function of its arguments."""
    # Of Python's generators only random() is promised to draw the same in all versions.
    rng = Random(seed)
    return torch.empty(orders, size, dtype=torch.float64, device="cpu").apply_(lambda _: rng.random()).argsort(1)
