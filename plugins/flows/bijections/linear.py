"""Invertible linear maps: diagonal, dense, 1x1 convolution, by PLU factors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo import Bijection, Shape, component

from ...shared.moments import places
from ...shared.precision import product
from ..numerics.per_sample import per_sample


class PLU(nn.Module):
    r"""An invertible matrix whose determinant is known from its factors.

    .. math:: W = P L (U + \operatorname{diag}(\sigma \odot e^s)), \qquad \log|\det W| = \sum_j s_j

    with a permutation P and signs :math:`\sigma`, which are fixed, a unit lower triangular L and a strictly upper
    triangular U. It starts as a random rotation. As LAPACK packs them, one parameter holds L below its diagonal, U
    above it, and s on it; L and U are multiplied by the root of their size, so that an optimizer's step changes W
    equally at every size. Solutions are computed in float64, whatever the dtype of the parameters, and nothing is
    cached between calls.

    References: Kingma and Dhariwal, Glow, 2018, arXiv:1807.03039, sec. 3.2.

    >>> plu = PLU(3)
    >>> x = torch.tensor([[1.0, 2.0, 3.0]])
    >>> torch.allclose(plu(x), x @ plu.weight().T, atol=1e-6), torch.allclose(plu.solve(plu(x)), x, atol=1e-6)
    (True, True)
    """

    order: Tensor
    sign: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        rotation, _ = torch.linalg.qr(torch.randn(size, size).double())
        P, L, U = torch.linalg.lu(rotation)
        diagonal = U.diagonal()
        factors = (L.tril(-1) + U.triu(1)) * math.sqrt(size) + diagonal.abs().log().diag()
        self.factors = nn.Parameter(factors.to(torch.get_default_dtype()))
        self.register_buffer("sign", diagonal.sign().to(torch.get_default_dtype()))
        self.register_buffer("order", P.argmax(1))  # row i of P A is row order[i] of A

    def weight(self) -> Tensor:
        """W, ``[size, size]``."""
        L, U = _unpack(self.factors, self.sign)
        return product(L, U).index_select(0, self.order)

    def forward(self, x: Tensor) -> Tensor:
        """W x for each row x, ``[N, size] -> [N, size]``, without W."""
        L, U = _unpack(self.factors, self.sign)
        return product(product(x, U.T), L.T).index_select(1, self.order)

    def solve(self, z: Tensor) -> Tensor:
        """The x with W x = z for each row z, ``[N, size] -> [N, size]``."""
        L, U = _unpack(self.factors.double(), self.sign.double())
        y = z.double().index_select(1, self.order.argsort()).T
        y = torch.linalg.solve_triangular(L, y, upper=False, unitriangular=True)
        x: Tensor = torch.linalg.solve_triangular(U, y, upper=True).T
        return x.to(z.dtype)

    def log_det(self) -> Tensor:
        """The sum of s, in at least float32."""
        s = self.factors.diagonal()
        return s.sum(dtype=torch.promote_types(s.dtype, torch.float32))


def _unpack(factors: Tensor, sign: Tensor) -> tuple[Tensor, Tensor]:
    """L with its ones, and U with its diagonal."""
    entries = factors / math.sqrt(sign.shape[0])
    diagonal = sign * factors.diagonal().exp()
    return entries.tril(-1) + torch.ones_like(sign).diag(), entries.triu(1) + diagonal.diag()


@component("scale")
class Scale(Bijection):
    r"""Diagonal scaling: one factor for each element, the same for all samples.

    .. math:: z = x \odot \exp(s)

    so that :math:`\log|\det \partial z / \partial x| = \sum_j s_j`. After volume-preserving layers it shows how much
    each latent matters.

    References: Dinh et al., NICE: Non-linear Independent Components Estimation, 2015, arXiv:1410.8516, sec. 3.3.

    Shapes: ``[B, *shape]``, unchanged.

    >>> import torch, zoo
    >>> scale = zoo.declare(zoo.Bijection, "scale")(zoo.Shape(2))
    >>> _ = scale.log_scale.data.copy_(torch.tensor([0.0, 2.0]).log1p())
    >>> scale(torch.tensor([[1.0, 2.0]]))
    (tensor([[1., 6.]], grad_fn=<MulBackward0>), tensor([1.0986], grad_fn=<ExpandBackward0>))
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.log_scale = nn.Parameter(torch.zeros(*shape))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x * self.log_scale.exp(), per_sample(self.log_scale.sum(), x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z * self.log_scale.neg().exp(), -per_sample(self.log_scale.sum(), z)


@component("dense")
class Dense(Bijection):
    r"""Invertible dense layer: mixes all numbers of an event with one matrix in PLU factors.

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
        return self.plu(x.flatten(1)).view(x.shape), per_sample(self.plu.log_det(), x)  # [B, D] within

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.plu.solve(z.flatten(1)).view(z.shape), per_sample(-self.plu.log_det(), z)


@component("conv1x1")
class Conv1x1(Bijection):
    r"""Invertible 1x1 convolution: mixes the channels of each pixel with one matrix in PLU factors.

    .. math:: z_{:,h,w} = W x_{:,h,w}, \qquad W = P L (U + \operatorname{diag}(\sigma \odot e^s))

    so that :math:`\log|\det \partial z / \partial x| = H W \sum_c s_c`. P and :math:`\sigma` are fixed; W starts as a
    random rotation. The inverse is in float64, by triangular solves.

    References: Kingma and Dhariwal, Glow, 2018, arXiv:1807.03039, sec. 3.2, eq. 9-11.

    Shapes: ``[B, C, H, W]``, unchanged; ValueError for an event that is not an image; use ``dense`` for it.

    >>> import torch, zoo
    >>> conv = zoo.declare(zoo.Bijection, "conv1x1")(zoo.Shape(3, 4, 4))
    >>> x = torch.ones(2, 3, 4, 4)
    >>> z, log_det = conv(x)
    >>> torch.allclose(z.norm(dim=1), x.norm(dim=1))    # a rotation, before training
    True
    """

    def __init__(self, shape: Shape) -> None:
        if len(shape) != 3:
            raise ValueError(f"needs an image [C, H, W], got {shape}: use dense")
        super().__init__(shape)
        self.plu = PLU(shape[0])
        self._places = places(shape)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._mixed(self.plu.weight(), x), self._log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        unit = torch.eye(self.shape[0], dtype=torch.float64, device=z.device)
        x = self._mixed(self.plu.solve(unit).T, z.double())
        return x.to(z.dtype), -self._log_det(z)

    @staticmethod
    def _mixed(weight: Tensor, x: Tensor) -> Tensor:
        return product(weight, x.flatten(2)).view(x.shape)  # [C, C] @ [B, C, HW] -> [B, C, H, W]

    def _log_det(self, x: Tensor) -> Tensor:
        return per_sample(self.plu.log_det() * self._places, x)
