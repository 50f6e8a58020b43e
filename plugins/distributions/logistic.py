"""Standard logistic distribution."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from zoo import Distribution, Shape, component, sum_event


@component("logistic")
class Logistic(Distribution):
    r"""Independent standard logistics.

    .. math:: \log p(x) = \sum_j \log \sigma(x_j) + \log \sigma(-x_j)

    with :math:`\sigma` the logistic function. A draw is the logit of a uniform number.

    References: Dinh et al., NICE, 2015, arXiv:1410.8516, sec. 3.4.

    Shapes: events ``[B, *shape]``, ``log_prob`` ``[B]`` in nats. The temperature is the scale of a draw.

    >>> import torch, zoo
    >>> base = zoo.declare(zoo.Distribution, "logistic")(zoo.Shape(2))
    >>> base.log_prob(torch.zeros(1, 2))    # 2 log 1/4
    tensor([-2.7726])
    """

    like: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        # Draws have the dtype and the device of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)
        self._sizes = tuple(shape)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return sum_event(logsigmoid(x) + logsigmoid(-x))

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        u = torch.rand(n, *self._sizes, dtype=self.like.dtype, device=self.like.device)
        # A uniform number can be zero, and its logit is not finite.
        return temperature * torch.logit(u, eps=torch.finfo(u.dtype).eps)
