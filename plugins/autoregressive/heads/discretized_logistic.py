"""Discretized logistic distribution."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Event, Known, component

from ...shared.events import levels_of
from ...shared.logistic import as_logistic, drawn_level, in_levels, log_prob_of
from .base import Head


@component("discretized_logistic")
class DiscretizedLogistic(Head):
    r"""Discretized logistic distribution: a mean and a log scale for each number.

    .. math:: p(x_i = k \mid h_i) = \sigma\Bigl(\frac{k + \frac12 - \mu_i}{s_i}\Bigr)
       - \sigma\Bigl(\frac{k - \frac12 - \mu_i}{s_i}\Bigr)

    where the first level includes everything below it and the last everything above. :math:`h_i` is the mean and the
    log scale for levels that lie between -1 and 1, the latter soft-clipped at -7 from below. A draw is the level
    nearest to :math:`\mu_i + s_i \operatorname{logit}(u)`; the temperature multiplies the scale.

    References: Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow, 2016,
    arXiv:1606.04934, sec. 5.1; Salimans et al., PixelCNN++, 2017, arXiv:1701.05517, sec. 2.1.

    Shapes: two parameters, one uniform for each number. ValueError for continuous data.

    >>> import zoo
    >>> head = DiscretizedLogistic(zoo.Event("row", zoo.Shape(1), levels=3))
    >>> head.log_probs(torch.tensor([[0]]), torch.zeros(1, 2, 1)).exp()
    tensor([[[0.3776, 0.2447, 0.3776]]])
    >>> head.draw(torch.zeros(3, 2), torch.tensor([[0.3], [0.5], [0.7]])).tolist()
    [[0], [1], [2]]
    """

    count = 2

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self.levels = levels_of(event)

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        return log_prob_of(x, *in_levels(h[:, 0], h[:, 1], self.levels), self.levels)

    def log_probs(self, x: Tensor, h: Tensor) -> Tensor:
        mean, log_scale = in_levels(h[:, 0].unsqueeze(-1), h[:, 1].unsqueeze(-1), self.levels)  # [B, *shape, 1]
        return log_prob_of(torch.arange(self.levels, device=h.device), mean, log_scale, self.levels)

    def draw(self, h: Tensor, u: Tensor, temperature: float = 1.0, known: Known | None = None) -> Tensor:
        mean, log_scale = in_levels(h[:, :1], h[:, 1:], self.levels)
        return drawn_level(mean, log_scale, temperature * as_logistic(u), self.levels).long()
