"""Autoregressive model."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import (
    Batch,
    Causal,
    Clock,
    Condition,
    Event,
    Known,
    Model,
    Part,
    Terms,
    advanced,
    component,
    named,
    sum_event,
)

from ...nets.masked.net import AutoregressiveNet
from ...shared.context import Context, check_context, vectors_of
from ...shared.events import levels_of
from ..causal.sites import at_sites, from_sites
from ..heads.base import Head
from ..inputs import Inputs
from ..samplers import fixed_point


@component("autoregressive", example={"net": {"type": "made", "width": 8}, "head": "categorical"})
class Autoregressive(Model, Causal):
    r"""Autoregressive model: each number given those before it.

    .. math:: p(x) = \prod_i p(x_i \mid h_i), \qquad h_i = g_i(x_1, \dots, x_{i-1})

    The net computes all parameters at once if the data is known. The order is that of the net. The likelihood is exact.

    With a ``context`` it models data given labels or features: nets and layers that declare ``context: N`` get it.
    ValueError if a context is declared and no part takes it, or the other way round, and for continuous data.

    Args:
        net: The autoregressive network :math:`g`.
        head: The distribution of a number, or of the channels of a pixel, given its parameters.
        inputs: The encoding of levels as input of the net.
        context: The conditioning on labels or features; ``null`` for none.

    References: van den Oord et al., Pixel Recurrent Neural Networks, 2016, arXiv:1601.06759, eq. 1-2.

    Shapes: data ``[B, *event.shape]``, integers; ``log_prob`` ``[B]``, in nats; uniforms ``[n, sites, count]``.

    >>> import zoo
    >>> node = {"type": "autoregressive", "net": "made", "head": "bernoulli"}
    >>> model = zoo.declare(zoo.Model, node)(zoo.Event("bits", zoo.Shape(3), levels=2))
    >>> x = model.sample(5)
    >>> x.shape, model.log_prob(x).exp()
    (torch.Size([5, 3]), tensor([0.1250, 0.1250, 0.1250, 0.1250, 0.1250], grad_fn=<ExpBackward0>))
    """

    def __init__(
        self,
        event: Event,
        *,
        net: Part[AutoregressiveNet],
        head: Part[Head],
        inputs: Part[Inputs] = named("centred"),
        context: Part[Context] | None = None,
    ) -> None:
        super().__init__(event)
        self.levels = levels_of(event)
        self.head = head(event)
        self.inputs = inputs(event)
        self.net = net(event.shape, self.head.count, self.head.together, self.inputs.features)
        self.context = context(event) if context else None
        check_context(self.context, self.net)
        self.conditioned_on = self.context.sources if self.context else None

    @property
    def kept(self) -> bool:  # type: ignore[override]
        """Whether the net caches what it has computed."""
        return self.net.kept

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        nll = -self.log_prob(batch[self.event.name], self.given(batch))
        return Terms(nll.mean(), {"nll": nll})

    def log_prob(self, x: Tensor, context: Condition | None = None) -> Tensor:
        log_p: Tensor = self.head.log_prob(x, self.answer(x, context))
        return sum_event(log_p)

    def answer(self, x: Tensor, context: Condition | None = None) -> Tensor:
        """The parameters of all sites, ``[B, count, *sites]``, in at least float32."""
        dtype = next(self.net.parameters()).dtype
        h: Tensor = self.net(self.inputs(x, dtype), vectors_of(self.context, context))
        return h if h.dtype == dtype else h.to(dtype)

    # -- the order, and the conditionals ----------------------------------------------------------------------------

    def ranks(self) -> Tensor:
        t = self.head.together
        ranks = self.net.ranks().unsqueeze(1) * t + torch.arange(t, device="cpu")  # [sites, t]
        return from_sites(ranks.unsqueeze(0), self.event.shape).flatten()

    def sees(self) -> Tensor:
        D, t = self.event.shape.size, self.head.together
        seen = self.net.sees().unsqueeze(1).expand(-1, t, -1).clone()  # [sites, t, D]
        # What is drawn together is drawn in the order of the channels.
        places = at_sites(torch.arange(D, device="cpu").reshape(1, *self.event.shape), t)[0]  # [sites, t]
        for k in range(1, t):
            seen[:, k].scatter_(1, places[:, :k], True)
        return from_sites(seen.movedim(-1, 0), self.event.shape).flatten(1).t()

    def conditionals(self, x: Tensor, context: Condition | None = None) -> Tensor:
        log_p: Tensor = self.head.log_probs(x, self.answer(x, context))
        return log_p

    # -- draws ------------------------------------------------------------------------------------------------------

    def uniforms(self, n: int) -> Tensor:
        like = next(self.net.parameters())
        return torch.rand(n, self.net.sites.size, self.head.uniforms, dtype=like.dtype, device=like.device)

    @torch.no_grad()
    def redraw(self, x: Tensor, u: Tensor, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        h = self.answer(x, context).flatten(2).transpose(1, 2)  # [n, sites, count]
        before = at_sites(x.long(), self.head.together).flatten(0, 1)
        known = Known(before, torch.ones_like(before, dtype=torch.bool))
        values = self.head.draw(h.flatten(0, 1), u.flatten(0, 1), temperature, known)
        return self._data(torch.unflatten(values, 0, h.shape[:2]))

    @torch.no_grad()
    def unroll(
        self, u: Tensor, context: Condition | None = None, temperature: float = 1.0, known: Known | None = None
    ) -> Tensor:
        n, sites = u.shape[:2]
        uniform = u.unbind(1)
        t = self.head.together
        given = None if known is None else Known(at_sites(known.x.long(), t), at_sites(known.mask, t))
        drawn: dict[int, Tensor] = {}

        def solve(i: int, h: Tensor) -> Tensor:
            here = None if given is None else Known(given.x[:, i], given.mask[:, i])
            value = self.head.draw(h, uniform[i], temperature, here)
            if here is not None:
                value = torch.where(here.mask, here.x, value)
            drawn[i] = value
            advanced(len(drawn), sites)
            x = self.inputs.values(value, h.dtype)
            return x.squeeze(1) if x.shape[1] == 1 else x

        self.net.unroll(solve, n, vectors_of(self.context, context))
        return self._data(torch.stack([drawn[i] for i in range(sites)], dim=1))

    def draw(
        self, u: Tensor, context: Condition | None = None, temperature: float = 1.0, known: Known | None = None
    ) -> Tensor:
        if self.kept and u.shape[0] > self.net.few:
            return self.unroll(u, context, temperature, known)
        return fixed_point(self, self.event, u, context, temperature, known)

    def _data(self, values: Tensor) -> Tensor:
        """Levels of sites ``[n, sites, together]`` as data."""
        x = from_sites(values, self.event.shape)
        return x.to(torch.uint8) if self.levels <= 256 else x
