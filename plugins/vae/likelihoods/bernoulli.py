"""Bernoulli likelihood."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from zoo import Event, Likelihood, component, sum_event

from ...shared.logistic import logistic_noise
from ...shared.precision import lifted


@component("bernoulli")
class Bernoulli(Likelihood):
    r"""Independent Bernoulli variables, for data with two levels.

    .. math:: \log p(x \mid h) = \sum_j x_j \log \sigma(h_j) + (1 - x_j) \log \sigma(-h_j)

    ValueError for data with other levels: a cross-entropy with grey values is not the logarithm of a probability.
    Binarise them by ``data: {type: binarised, of: ...}``.

    Shapes: ``h`` ``[B, *event.shape]``, logits. A draw is one if the sum of :math:`h` and logistic noise, times the
    temperature, is positive.

    >>> import zoo
    >>> likelihood = Bernoulli(zoo.Event("image", zoo.Shape(1, 2, 2), levels=2))
    >>> likelihood.log_prob(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))    # 4 log 1/2
    tensor([-2.7726])
    """

    density = False
    bounded = True
    like: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        if event.levels != 2:
            has = "is continuous" if event.levels is None else f"has {event.levels} levels"
            raise ValueError(
                f"needs data with two levels, but '{event.name}' {has}: binarise it, as in "
                "data: {type: binarised, of: ...}"
            )
        self.decoded = event.shape
        self.noise_size = event.shape.size
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        h = lifted(context)
        return -sum_event(binary_cross_entropy_with_logits(h, x.to(h.dtype), reduction="none"))

    def mean(self, context: Tensor) -> Tensor:
        return context.sigmoid()

    def noise(self, n: int, temperature: float = 1.0) -> Tensor:
        return temperature * logistic_noise(n, self.noise_size, self.like)

    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        return (context + noise.reshape(context.shape) > 0).to(torch.uint8)
