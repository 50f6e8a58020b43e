"""Categorical distribution over any number of levels."""

from __future__ import annotations

from torch import Tensor

from zoo import Event, Known, component

from ...shared.events import levels_of
from .base import Head


@component("categorical")
class Categorical(Head):
    r"""Categorical distribution: a softmax over the levels of each number.

    .. math:: p(x_i = k \mid h_i) = \frac{\exp h_{ik}}{\sum_l \exp h_{il}}

    It does not depend on an order of the levels, and so serves for codes and words too. A draw is the first level whose
    cumulative probability exceeds u; the temperature divides the logits.

    References: van den Oord et al., Pixel Recurrent Neural Networks, 2016, arXiv:1601.06759, sec. 3.

    Shapes: as many parameters as levels, one uniform for each number.

    >>> import torch, zoo
    >>> head = Categorical(zoo.Event("row", zoo.Shape(2), levels=3))
    >>> head.log_prob(torch.tensor([[0, 2]]), torch.zeros(1, 3, 2)).exp()
    tensor([[0.3333, 0.3333]])
    >>> head.draw(torch.zeros(3, 3), torch.tensor([[0.1], [0.5], [0.9]])).tolist()
    [[0], [1], [2]]
    """

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self.count = levels_of(event)

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        chosen = h.gather(1, x.long().unsqueeze(1)).squeeze(1)  # [B, levels, *shape] -> [B, *shape]
        return chosen - h.logsumexp(1)

    def log_probs(self, x: Tensor, h: Tensor) -> Tensor:
        return h.log_softmax(1).movedim(1, -1)  # [B, *shape, levels]

    def draw(self, h: Tensor, u: Tensor, temperature: float = 1.0, known: Known | None = None) -> Tensor:
        up_to = (h / temperature).softmax(1).cumsum(1)[:, :-1]  # [N, levels - 1]
        return (up_to <= u).sum(1, keepdim=True)
