"""Uniform distribution."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo import Distribution, Shape, component, sum_event


@component("uniform")
class UniformBase(Distribution):
    r"""Independent uniform variables on an interval.

    .. math:: \log p(x) = -D \log(b - a) \;\; (a \le x_j \le b), \qquad -\infty \text{ beyond}

    The latents of a flow must lie within the interval, as after ``{type: inverse_of, of: logit}``. ValueError unless
    ``low`` is below ``high``.

    Args:
        low: The lower end :math:`a`.
        high: The upper end :math:`b`.

    Shapes: events ``[B, *shape]``, ``log_prob`` ``[B]`` in nats. The temperature scales the spread about the middle.

    >>> import torch, zoo
    >>> base = zoo.declare(zoo.Distribution, {"type": "uniform", "high": 2.0})(zoo.Shape(2))
    >>> base.log_prob(torch.tensor([[0.5, 1.5], [0.5, 2.5]]))    # 2 log 1/2
    tensor([-1.3863,    -inf])
    """

    like: Tensor

    def __init__(self, shape: Shape, *, low: float = 0.0, high: float = 1.0) -> None:
        super().__init__(shape)
        if not low < high:
            raise ValueError(f"low must be below high, got {low:g} and {high:g}")
        self.support = (low, high)
        # Draws have the dtype and the device of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)
        self._sizes = tuple(shape)
        self._low, self._size = low, high - low

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        inside = (x >= self._low) & (x <= self._low + self._size)
        return sum_event(torch.where(inside, -math.log(self._size), -math.inf).to(x.dtype))

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        u = torch.rand(n, *self._sizes, dtype=self.like.dtype, device=self.like.device)
        return self._low + self._size * (0.5 + temperature * (u - 0.5))
