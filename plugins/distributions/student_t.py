"""Student's t distribution."""

from __future__ import annotations

import math

import torch
from pydantic import PositiveFloat
from torch import Tensor

from zoo import Distribution, Shape, component, sum_event


@component("student_t")
class StudentT(Distribution):
    r"""Independent Student's t variables: a base with heavy tails.

    .. math:: \log p(x) = \sum_j \log \frac{\Gamma(\frac{\nu + 1}2)}{\Gamma(\frac\nu2) \sqrt{\nu\pi}}
       - \frac{\nu + 1}2 \log\Bigl(1 + \frac{x_j^2}\nu\Bigr)

    Layers with bounded slopes, such as affine couplings and splines, cannot change how heavy a distribution's tails
    are: with a normal base an outlier costs half the square of its distance, here a multiple of the logarithm of it.
    With many degrees of freedom it is close to a normal except in the far tails.

    Args:
        degrees: The degrees of freedom, :math:`\nu`.

    References: Jaini et al., Tails of Lipschitz triangular flows, 2020, arXiv:1907.04481.

    Shapes: events ``[B, *shape]``, ``log_prob`` ``[B]`` in nats. The temperature is the scale of a draw.

    >>> import torch, zoo
    >>> base = zoo.declare(zoo.Distribution, {"type": "student_t", "degrees": 1.0})(zoo.Shape(1))
    >>> base.log_prob(torch.tensor([[0.0], [1e6]]))    # Cauchy's: -log pi, and 12 log 10 less
    tensor([ -1.1447, -28.7758])
    """

    like: Tensor

    def __init__(self, shape: Shape, *, degrees: PositiveFloat = 10.0) -> None:
        super().__init__(shape)
        self.degrees = degrees
        # Draws have the dtype and the device of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)
        self._sizes = tuple(shape)
        self._constant = shape.size * (
            math.lgamma(0.5 * (degrees + 1.0)) - math.lgamma(0.5 * degrees) - 0.5 * math.log(degrees * math.pi)
        )

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        far = torch.log1p((x / math.sqrt(self.degrees)).square())
        return self._constant - 0.5 * (self.degrees + 1.0) * sum_event(far)

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        normal = torch.randn(n, *self._sizes, dtype=self.like.dtype, device=self.like.device)
        half_chi_square = torch._standard_gamma(torch.full_like(normal, 0.5 * self.degrees))
        return temperature * normal * (0.5 * self.degrees / half_chi_square).sqrt()
