"""Radial flow."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from zoo import Bijection, Shape, component

from ..numerics.slope_floor import MARGIN, above_minus_one


@component("radial")
class Radial(Bijection):
    r"""Radial flow: moves points towards a centre or away from it, by an amount that depends on their distance from it.

    .. math:: z = x + \beta h\,(x - x_0), \qquad h = \frac{1}{\alpha + r}, \quad r = |x - x_0|

    so that :math:`\log|\det \partial z / \partial x| = (D - 1) \log(1 + \beta h) + \log(1 + \alpha \beta h^2)`. It is
    invertible where :math:`\alpha > 0` and :math:`\beta > -\alpha`; the parameters give :math:`\beta / \alpha`, at
    least -0.99, and start it at zero, the identity. In the inverse, with :math:`R = |z - x_0|`, the radius is the
    positive root of

    .. math:: r^2 + (\alpha + \beta - R)\, r - \alpha R = 0.

    References: Rezende and Mohamed, Variational inference with normalizing flows, 2015, arXiv:1505.05770, eq. 14 and
    app. A.2.

    Shapes: ``[B, *shape]``, unchanged; the centre is of the event's shape.

    >>> import torch, zoo
    >>> radial = zoo.declare(zoo.Bijection, "radial")(zoo.Shape(2))
    >>> x = torch.tensor([[3.0, 4.0]])
    >>> torch.equal(radial(x)[0], x)    # the identity, before training
    True
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.centre = nn.Parameter(torch.randn(*shape))
        self.width = nn.Parameter(torch.zeros(()))
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        alpha, gap = self._alpha_and_gap()
        away = x - self.centre
        r = _norm(away)
        ratio, log_det = self._at(r, alpha, gap)
        return self.centre + away * _spread(ratio, x), log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        alpha, gap = self._alpha_and_gap()
        away = z - self.centre
        R = _norm(away)
        ratio, log_det = self._at(_positive_root(gap * alpha - R, alpha * R), alpha, gap)
        return self.centre + away / _spread(ratio, z), -log_det

    def _alpha_and_gap(self) -> tuple[Tensor, Tensor]:
        r""":math:`\alpha` and :math:`1 + \beta / \alpha`."""
        return softplus(self.width) + MARGIN, above_minus_one(self.strength)[1]

    def _at(self, r: Tensor, alpha: Tensor, gap: Tensor) -> tuple[Tensor, Tensor]:
        r"""The factor :math:`1 + \beta h` by which the radius r grows, and the log-determinant, as sums of positive
        terms.
        """
        near = alpha / (alpha + r)
        far = r / (alpha + r)
        across = far + gap * near
        along = far * (1.0 + near) + gap * near.square()
        return across, (self.shape.size - 1) * across.log() + along.log()


def _positive_root(b: Tensor, c: Tensor) -> Tensor:
    """The positive root of r^2 + b r - c with c >= 0, in the form without cancellation."""
    q = b.abs() + torch.sqrt(b.square() + 4.0 * c)
    return torch.where(b > 0, 2.0 * c / q, 0.5 * q)


def _norm(x: Tensor) -> Tensor:
    r: Tensor = torch.linalg.vector_norm(x.flatten(1), dim=1)
    return r


def _spread(ratio: Tensor, x: Tensor) -> Tensor:
    """``[B]`` as ``[B, 1, ...]``, to broadcast over events."""
    return ratio.view(x.shape[0], *(1,) * (x.dim() - 1))
