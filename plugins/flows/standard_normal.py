"""Standard normal distribution."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo import Distribution, NormalMoments, Shape, component, sum_event


@component("standard_normal")
class StandardNormal(Distribution, NormalMoments):
    r"""Independent standard normals.

    .. math:: \log p(x) = -\tfrac12 \sum_j x_j^2 - \tfrac{D}{2} \log 2\pi

    Shapes: events ``[B, *shape]``, ``log_prob`` ``[B]`` in nats. The temperature is the standard deviation of a draw.

    >>> import torch, zoo
    >>> base = zoo.declare(zoo.Distribution, "standard_normal")(zoo.Shape(2))
    >>> base.log_prob(torch.zeros(1, 2))
    tensor([-1.8379])
    """

    like: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        # Draws have the dtype and the device of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)
        self._sizes = tuple(shape)
        self._constant = 0.5 * shape.size * math.log(2.0 * math.pi)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return -0.5 * sum_event(x.square()) - self._constant

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        draw = torch.randn(n, *self._sizes, dtype=self.like.dtype, device=self.like.device)
        return draw if temperature == 1.0 else temperature * draw

    def moments(self) -> tuple[Tensor, Tensor]:
        zeros = self.like.expand(self._sizes)
        return zeros, zeros
