"""Categorical likelihood of levels."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Event, Likelihood, component, sum_event

from ...shared.events import levels_of, nearest_level
from ...shared.logistic import logistic_noise
from ...shared.precision import lifted


@component("categorical_levels")
class CategoricalLevels(Likelihood):
    r"""Categorical likelihood: a softmax over all levels of each number.

    .. math:: \log P(x_j = l \mid h) = h_{jl} - \log \sum_{m} e^{h_{jm}}

    It does not depend on the order of levels, and can give them any probabilities. ValueError for continuous data, and
    for more than 256 levels.

    References: van den Oord et al., Pixel Recurrent Neural Networks, 2016, arXiv:1601.06759, sec. 3.3.

    Shapes: ``h`` ``[B, L C, ...]`` for data ``[B, C, ...]``, the logits of each level in turn. A draw inverts the
    distribution function at :math:`\sigma(\epsilon)` with logistic :math:`\epsilon`, times the temperature, which
    contracts draws towards the median.

    >>> import zoo
    >>> likelihood = CategoricalLevels(zoo.Event("row", zoo.Shape(2), levels=4))
    >>> likelihood.log_prob(torch.tensor([[0, 3]]), torch.zeros(1, 8))    # 2 log 1/4
    tensor([-2.7726])
    """

    density = False
    bounded = True
    like: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self.levels = levels_of(event, at_most=256)
        self.decoded = event.shape.channels(self.levels)
        self.noise_size = event.shape.size
        self._channels = event.shape[0]
        # Noise has the dtype and the device of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        log_p = self._logits(context).log_softmax(1)
        return sum_event(log_p.gather(1, x.long().unsqueeze(1)).squeeze(1))

    def mean(self, context: Tensor) -> Tensor:
        p = self._logits(context).softmax(1)
        unit = torch.linspace(0.0, 1.0, self.levels, dtype=p.dtype, device=p.device)
        return (p * unit.view(-1, *(1,) * (p.dim() - 2))).sum(1)

    def noise(self, n: int, temperature: float = 1.0) -> Tensor:
        return temperature * logistic_noise(n, self.noise_size, self.like)

    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        below = self._logits(context).softmax(1).cumsum(1)
        u = noise.sigmoid().reshape(-1, *self.event.shape).unsqueeze(1)  # [B, 1, *event.shape]
        # The distribution function may round to a little less than one at its last level.
        return nearest_level((below < u).sum(1, dtype=below.dtype), self.levels)

    def _logits(self, context: Tensor) -> Tensor:
        """``[B, L, *event.shape]``."""
        return torch.unflatten(lifted(context), 1, (self.levels, self._channels))
