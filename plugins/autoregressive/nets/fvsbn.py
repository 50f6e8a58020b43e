"""Fully visible sigmoid belief network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from zoo import Shape, component

from ...nets.masked.net import AutoregressiveNet, Solve, check_single


@component("fvsbn")
class FVSBN(AutoregressiveNet):
    r"""Fully visible sigmoid belief network: no hidden units, each parameter linear in the elements before it.

    .. math:: h_{ki} = b_{ki} + \sum_{j<i} W_{kij} x_j

    With a logit for each element it is a logistic regression of each on those before: its likelihood has one maximum.

    References: Frey, Graphical Models for Machine Learning and Digital Communication, 1998; Gan et al., Learning Deep
    Sigmoid Belief Networks with Data Augmentation, AISTATS 2015.

    Shapes: ``[B, *shape] -> [B, count, *shape]``.

    >>> import torch, zoo
    >>> net = zoo.declare(AutoregressiveNet, "fvsbn")(zoo.Shape(3), 2)
    >>> net(torch.ones(5, 3)).shape
    torch.Size([5, 2, 3])
    """

    def __init__(self, shape: Shape, count: int, together: int = 1, features: int = 1) -> None:
        super().__init__(shape, count, together, features)
        check_single(self, "fvsbn")
        D = shape.size
        self.W = nn.Parameter(torch.zeros(count, D, D))
        self.b = nn.Parameter(torch.zeros(count, D))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        h = linear(x.flatten(1), self.W.tril(-1).flatten(0, 1), self.b.flatten())  # [B, count * D]
        return torch.unflatten(h, 1, (self.count, *self.shape))

    def unroll(self, solve: Solve, n: int, context: Tensor | None = None) -> Tensor:
        # The partial sums of all elements that follow, ordered by element and then by parameter.
        sums = self.b.t().flatten().unsqueeze(1).expand(-1, n)  # [D * count, n]
        columns = self.W.permute(2, 1, 0).flatten(1)  # [D, D * count]
        elements = []
        for i, column in enumerate(columns):
            h, sums = sums[: self.count], sums[self.count :]
            x = solve(i, h.t())
            elements.append(x)
            sums = torch.addr(sums, column[(i + 1) * self.count :], x)
        return torch.unflatten(torch.stack(elements, dim=1), 1, tuple(self.shape))

    def sees(self) -> Tensor:
        D = self.shape.size
        return torch.ones(D, D, dtype=torch.bool, device="cpu").tril(-1)
