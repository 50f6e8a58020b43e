"""Bernoulli distribution of data with two levels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from zoo import Event, Known, component

from ...shared.events import levels_of
from .base import Head


@component("bernoulli")
class Bernoulli(Head):
    r"""Bernoulli distribution: one logit for each number of data with two levels.

    .. math:: p(x_i = 1 \mid h_i) = \sigma(h_i)

    A draw is one if :math:`u < \sigma(h_i / T)`. ValueError for data of more levels.

    Shapes: one parameter, one uniform for each number.

    >>> import torch, zoo
    >>> head = Bernoulli(zoo.Event("row", zoo.Shape(3), levels=2))
    >>> head.log_prob(torch.tensor([[0, 1, 1]]), torch.tensor([[[0.0, 0.0, 9.0]]])).exp()
    tensor([[0.5000, 0.5000, 0.9999]])
    >>> head.draw(torch.tensor([[0.0], [0.0]]), torch.tensor([[0.4], [0.6]])).tolist()
    [[1], [0]]
    """

    count = 1

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        levels_of(event, at_most=2)

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        logits = h.squeeze(1)  # [B, *shape]
        return logsigmoid(torch.where(x == 1, logits, -logits))

    def log_probs(self, x: Tensor, h: Tensor) -> Tensor:
        logits = h.squeeze(1)  # [B, *shape]
        return torch.stack([logsigmoid(-logits), logsigmoid(logits)], dim=-1)  # [B, *shape, 2]

    def draw(self, h: Tensor, u: Tensor, temperature: float = 1.0, known: Known | None = None) -> Tensor:
        return (u < torch.sigmoid(h if temperature == 1.0 else h / temperature)).long()
