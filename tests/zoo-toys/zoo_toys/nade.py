"""Neural autoregressive distribution estimator."""

from __future__ import annotations

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from zoo import Batch, Clock, Condition, Event, Model, Samples, Scores, Terms, component


@component("nade", example={"hidden": 8})
class NADE(Model, Scores, Samples):
    r"""Neural autoregressive distribution estimator of discrete data, one element after the other.

    .. math::
        p(x) = \prod_{d=1}^D p(x_d | x_{<d}), \qquad
        p(x_d | x_{<d}) = \operatorname{softmax}(b_d + V_d h_d), \qquad
        h_d = \operatorname{sigmoid}\Bigl(c + \sum_{i<d} W_{i, x_i}\Bigr)

    so that all of :math:`h` comes from one cumulative sum. The likelihood is exact; sampling takes ``D`` steps.
    ValueError if the data is continuous.

    Args:
        hidden: The number of hidden units.

    References: Larochelle and Murray, The Neural Autoregressive Distribution Estimator, AISTATS 2011, eq. 2-3; with
    a softmax for the levels, Uria et al., Neural Autoregressive Distribution Estimation, 2016, arXiv:1605.02226.

    Shapes: data ``[B, *event.shape]``, integers; ``log_prob`` ``[B]``, in nats.

    >>> from zoo import Shape
    >>> nade = NADE(Event("bits", Shape(3), levels=2), hidden=8)
    >>> x = nade.sample(5)
    >>> x.shape, nade.log_prob(x).shape
    (torch.Size([5, 3]), torch.Size([5]))
    """

    exact = True

    def __init__(self, event: Event, *, hidden: PositiveInt = 64) -> None:
        super().__init__(event)
        if event.levels is None:
            raise ValueError(f"'{event.name}' is continuous: an autoregressive softmax needs levels")
        D, K = event.shape.size, event.levels
        self.W = nn.Parameter(0.05 * torch.randn(D, K, hidden))
        self.c = nn.Parameter(torch.zeros(hidden))
        self.V = nn.Parameter(0.05 * torch.randn(D, K, hidden))
        self.b = nn.Parameter(torch.zeros(D, K))

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        nll = -self.log_prob(batch[self.event.name])
        return Terms(nll.mean(), {"nll": nll})

    def log_prob(self, x: Tensor, context: Condition | None = None) -> Tensor:
        x = x.flatten(1).long()  # [B, D]
        D = x.shape[1]
        seen = self.W[torch.arange(D, device=x.device), x].cumsum(1)  # [B, D, H], each with its own element
        before = nn.functional.pad(seen[:, :-1], (0, 0, 1, 0))
        h = torch.sigmoid(self.c + before)
        log_p = (self.b + torch.einsum("dkh,bdh->bdk", self.V, h)).log_softmax(-1)
        return log_p.gather(-1, x.unsqueeze(-1)).flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        a = self.c.expand(n, -1)
        drawn = []
        for W, V, b in zip(self.W, self.V, self.b, strict=True):
            p = ((b + torch.sigmoid(a) @ V.T) / temperature).softmax(-1)
            x_d = p.multinomial(1).squeeze(1)
            a = a + W[x_d]
            drawn.append(x_d)
        x = torch.stack(drawn, dim=1).reshape(n, *self.event.shape)
        return x.to(torch.uint8) if len(self.b[0]) <= 256 else x
