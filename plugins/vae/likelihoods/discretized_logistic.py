"""Discretised logistic likelihood."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Event, Likelihood, component, sum_event

from ...nets.level_data import levels_of
from ...nets.logistic_levels import drawn_level, expected_level, in_levels, log_prob_of, logistic_noise
from ..lifted import lifted


@component("discretized_logistic")
class DiscretizedLogistic(Likelihood):
    r"""Independent logistic variables rounded to levels, the decoder giving mean and log scale of each.

    .. math:: P(x_j \mid h) = \sigma\Bigl(\frac{x_j + \frac12 - \mu_j}{s_j}\Bigr)
       - \sigma\Bigl(\frac{x_j - \frac12 - \mu_j}{s_j}\Bigr)

    for levels :math:`x_j`; the first has all below it and the last all above. :math:`h` is the mean and the log scale
    for levels that lie between -1 and 1, the latter soft-clipped at -7 from below. ValueError for continuous data.

    References: Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow, 2016,
    arXiv:1606.04934, sec. 5.1; Salimans et al., PixelCNN++, 2017, arXiv:1701.05517, sec. 2.1.

    Shapes: ``h`` ``[B, 2 C, ...]`` for data ``[B, C, ...]``. A draw is :math:`\mu + s \epsilon` with logistic
    :math:`\epsilon`, times the temperature, as the nearest level.

    >>> import zoo
    >>> likelihood = DiscretizedLogistic(zoo.Event("row", zoo.Shape(1), levels=3))
    >>> likelihood.log_prob(torch.arange(3).view(3, 1), torch.zeros(3, 2)).exp()
    tensor([0.3776, 0.2447, 0.3776])
    """

    density = False
    bounded = True
    like: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self.levels = levels_of(event)
        self.decoded = event.shape.channels(2)
        self.noise_size = event.shape.size
        # Noise has the dtype and the device of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        return sum_event(log_prob_of(x, *self._parts(context), self.levels))

    def mean(self, context: Tensor) -> Tensor:
        return expected_level(*self._parts(context), self.levels) / (self.levels - 1)

    def noise(self, n: int, temperature: float = 1.0) -> Tensor:
        return temperature * logistic_noise(n, self.noise_size, self.like)

    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        mean, log_scale = self._parts(context)
        return drawn_level(mean, log_scale, noise.reshape(mean.shape), self.levels)

    def _parts(self, context: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_scale = lifted(context).chunk(2, dim=1)
        return in_levels(mean, log_scale, self.levels)
