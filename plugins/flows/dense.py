"""Invertible dense layer."""

from __future__ import annotations

from torch import Tensor

from zoo import Bijection, Shape, component

from .per_sample import per_sample
from .plu import PLU


@component("dense")
class Dense(Bijection):
    r"""Invertible dense layer: mixes all numbers of an event by a matrix in PLU factors.

    .. math:: z = W x, \qquad W = P L (U + \operatorname{diag}(\sigma \odot e^s))

    so that :math:`\log|\det \partial z / \partial x| = \sum_j s_j`. P and :math:`\sigma` are fixed; W starts as a
    random rotation. The inverse is in float64, by triangular solves.

    References: Kingma and Dhariwal, Glow, 2018, arXiv:1807.03039, sec. 3.2, there over channels; Oliva et al.,
    Transformation autoregressive networks, 2018, arXiv:1801.09819, sec. 2.2.

    Shapes: ``[B, *shape]``, unchanged; W is square in the size of the flattened event.

    >>> import torch, zoo
    >>> dense = zoo.declare(zoo.Bijection, "dense")(zoo.Shape(2))
    >>> z, log_det = dense(torch.tensor([[3.0, 4.0]]))
    >>> z.norm(), log_det.abs() < 1e-6    # a rotation, before training
    (tensor(5., ...), tensor([True]))
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.plu = PLU(shape.size)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.plu(x.flatten(1)).view(x.shape), per_sample(self.plu.log_det(), x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.plu.solve(z.flatten(1)).view(z.shape), per_sample(-self.plu.log_det(), z)
