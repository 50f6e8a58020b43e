"""Standardisation by fixed statistics."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from zoo import Bijection, DataDependent, Shape, component

from ..nets.moments import channel_moments, element_moments, spread
from .per_sample import per_sample


@component("standardize")
class Standardize(DataDependent, Bijection):
    r"""Standardisation: mean zero and variance one, by the first batch's statistics.

    .. math:: z = (x - \mu) / \sigma

    so that :math:`\log|\det \partial z / \partial x| = -\sum_j \log \sigma_j`. The statistics are buffers and are not
    trained. They are taken in float64, ``per`` element, or ``per`` channel over all its places. What is constant in the
    first batch keeps its scale. Data in float64 is rounded to the dtype of the statistics after the mean is subtracted.

    Shapes: ``[B, *shape]``, unchanged.

    >>> import torch, zoo
    >>> standardize = zoo.declare(zoo.Bijection, "standardize")(zoo.Shape(2))
    >>> x = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    >>> standardize.initialize(x)
    >>> standardize(x)[0].tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """

    rounds = True
    mean: Tensor
    std: Tensor

    def __init__(self, shape: Shape, *, per: Literal["element", "channel"] = "element") -> None:
        super().__init__(shape)
        self.per = per
        sizes = tuple(shape) if per == "element" else (shape[0],) + (1,) * (len(shape) - 1)
        self.register_buffer("mean", torch.zeros(sizes))
        self.register_buffer("std", torch.ones(sizes))
        self._places = shape.size // self.mean.numel()

    @torch.no_grad()
    def initialize(self, x: Tensor, context: Tensor | None = None) -> None:
        mean, var = channel_moments(x) if self.per == "channel" else element_moments(x)
        self.mean.copy_(mean)
        self.std.copy_(spread(mean, var, x.dtype))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = ((x - self.mean) / self.std).to(self.mean.dtype)
        return z, -self._log_scale(z)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z * self.std + self.mean, self._log_scale(z)

    def _log_scale(self, x: Tensor) -> Tensor:
        return per_sample(self.std.log().sum() * self._places, x)
