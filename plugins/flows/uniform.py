"""Uniform dequantisation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo import Event, component

from .dequantization import Dequantization
from .levels import to_levels
from .per_sample import per_sample


@component("uniform")
class Uniform(Dequantization):
    r"""Uniform dequantisation of integers with ``levels`` values.

    .. math:: v = (x + u) / \text{levels}, \qquad u \sim \mathcal{U}[0, 1)^D

    and ``log_det`` is :math:`-D \log \text{levels}`: by Jensen's inequality the expectation over :math:`u` is a lower
    bound of :math:`\log P(x)`.

    References: Theis et al., A note on the evaluation of generative models, 2016, arXiv:1511.01844, eq. 5.

    Shapes: integers ``[B, *shape]`` to numbers in [0, 1] ``[B, *shape]``, ``log_det`` ``[B]``, in nats.

    >>> import torch, zoo
    >>> uniform = Uniform(zoo.Event("image", zoo.Shape(1, 2, 2), levels=4))
    >>> x = torch.tensor([[[[0, 1], [2, 3]]]], dtype=torch.uint8)
    >>> v, log_det = uniform(x)
    >>> torch.equal(uniform.inverse(v), x), log_det
    (True, tensor([-5.5452]))
    """

    like: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        # The noise has the dtype of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)
        self._log_det = -event.shape.size * math.log(self.levels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        u = torch.rand(x.shape, dtype=self.like.dtype, device=x.device)
        log_det = torch.full((), self._log_det, dtype=torch.promote_types(u.dtype, torch.float32), device=x.device)
        return (u + x) / self.levels, per_sample(log_det, x)

    def inverse(self, v: Tensor) -> Tensor:
        return to_levels(v, self.levels)
