"""One network in several orders of the data."""

from __future__ import annotations

import math
from random import Random
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeInt
from torch import Tensor

from zoo import Batch, Clock, Event, Model, Part, Samples, Scores, Terms, advanced, component, named, sum_event

from ..nets.any_order import AnyOrder
from ..nets.autoregressive_net import AutoregressiveNet
from ..nets.context import check_context, told
from ..nets.level_data import levels_of
from .heads.head import Head
from .inputs.inputs import Inputs


@component("order_ensemble", example={"net": {"type": "made", "width": 8}, "head": "categorical", "orders": 2})
class OrderEnsemble(Model, Scores, Samples):
    r"""A mixture of autoregressive models that go through the data in different orders and share all weights.

    .. math:: p(x) = \frac{1}{K} \sum_{k=1}^K p(x \mid \pi_k), \qquad
       p(x \mid \pi_k) = \prod_i p(x_{\pi_k(i)} \mid x_{\pi_k(1)}, \dots, x_{\pi_k(i-1)})

    with K ``orders`` drawn by ``seed``. A training step takes one of them at random and minimises
    :math:`-\log p(x \mid \pi_k)`, whose mean is no less than the mixture's; the likelihood takes all of them and is
    exact. A draw takes one. ValueError for a ``net`` that knows one order only, and for continuous data.

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
        seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__(event)
        self.levels = levels_of(event)
        self.head = head(event)
        self.inputs = inputs(event)
        self.net: Any = net(event.shape, self.head.count, self.head.together, self.inputs.features)
        check_context(None, self.net)
        if not isinstance(self.net, AnyOrder):
            raise ValueError(f"takes nets of any order, and '{net.name}' has one")
        self.orders = orders
        ranks = _drawn_ranks(orders, event.shape.size, seed)
        self.register_buffer("ranks", ranks.to(torch.get_default_device()), persistent=False)

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        k = torch.randint(self.orders, (1,), device=self.ranks.device)
        nll = -self.log_prob_in(batch[self.event.name], self.ranks.index_select(0, k).squeeze(0))
        return Terms(nll.mean(), {"nll": nll})

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        told(None, context)
        of_each = torch.stack([self.log_prob_in(x, ranks) for ranks in self.ranks], dim=1)
        return of_each.logsumexp(1) - math.log(self.orders)

    def log_prob_in(self, x: Tensor, ranks: Tensor) -> Tensor:
        r""":math:`\log p(x \mid \pi)`, ``[B]``, where ``ranks`` says when each number comes."""
        dtype = next(self.net.parameters()).dtype
        h = self.net.in_order(self.inputs(x, dtype), ranks)
        log_p: Tensor = self.head.log_prob(x, h if h.dtype == dtype else h.to(dtype))
        return sum_event(log_p)

    @torch.no_grad()
    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        told(None, context)
        chosen = torch.randint(self.orders, (n,), device=self.ranks.device)
        like = next(self.net.parameters())
        u = torch.rand(n, self.event.shape.size, self.head.uniforms, dtype=like.dtype, device=like.device)
        x = torch.empty(n, *self.event.shape, dtype=torch.int64, device=like.device)
        for k, ranks in enumerate(self.ranks):
            rows = (chosen == k).nonzero().squeeze(1)
            if rows.shape[0] > 0:
                x[rows] = self._drawn(u[rows], ranks, temperature)
            advanced(k + 1, self.orders)
        return x.to(torch.uint8) if self.levels <= 256 else x

    def _drawn(self, u: Tensor, ranks: Tensor, temperature: float) -> Tensor:
        """The draws in one order that uniforms ``[n, D, uniforms]`` stand for."""
        uniform = u.unbind(1)
        drawn: dict[int, Tensor] = {}

        def solve(i: int, h: Tensor) -> Tensor:
            value = self.head.draw(h, uniform[i], temperature)
            drawn[i] = value.squeeze(1)
            return self.inputs.values(value, h.dtype).squeeze(1)

        self.net.unroll_in(ranks, solve, u.shape[0])
        return torch.stack([drawn[i] for i in range(len(drawn))], dim=1).view(-1, *self.event.shape)


def _drawn_ranks(orders: int, size: int, seed: int) -> Tensor:
    """When each number comes, in each order: int64 ``[orders, size]``, a pure function of its arguments."""
    # Of Python's generators only random() is promised to draw the same in all versions.
    rng = Random(seed)
    return torch.empty(orders, size, dtype=torch.float64, device="cpu").apply_(lambda _: rng.random()).argsort(1)
