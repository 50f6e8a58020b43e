"""Planar flow."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo import Bijection, Shape, component, sum_event

from ..numerics.root_finding import increasing_root
from ..numerics.slope_floor import above_minus_one


@component("planar")
class Planar(Bijection):
    r"""Planar flow: moves points along one direction, by an amount that depends on their distance from a plane.

    .. math:: z = x + \hat u t, \quad t = \tanh(w^\top x + b), \qquad
       \log\Bigl|\det \frac{\partial z}{\partial x}\Bigr| = \log\bigl(1 + w^\top \hat u\,(1 - t^2)\bigr)

    It is invertible where :math:`w^\top \hat u > -1`, so :math:`\hat u = u + (m(w^\top u) - w^\top u)\, w / |w|^2`. The
    paper's :math:`m(a) = \log(1 + e^a) - 1` has a pole at :math:`w = 0`; here :math:`m(a) = a` from zero on and
    :math:`m(a) \approx e^a - 1` below (at least -0.99), which has none, and :math:`u = 0`, the start, is the identity.

    The inverse solves :math:`v + w^\top \hat u \tanh v = w^\top z + b` for :math:`v = w^\top x + b`, an increasing
    function with its root within :math:`|w^\top \hat u|` of the right-hand side.

    References: Rezende and Mohamed, Variational inference with normalizing flows, 2015, arXiv:1505.05770, eq. 10-12 and
    app. A.1.

    Shapes: ``[B, *shape]``, unchanged; ``w`` and ``u`` are of the event's shape.

    >>> import torch, zoo
    >>> planar = zoo.declare(zoo.Bijection, "planar")(zoo.Shape(2))
    >>> x = torch.tensor([[0.5, -1.0]])
    >>> torch.equal(planar(x)[0], x)    # the identity, before training
    True
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.w = nn.Parameter(torch.randn(*shape) / math.sqrt(shape.size))
        self.u = nn.Parameter(torch.zeros(*shape))
        self.b = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        u, _, gap = self._direction()
        t = torch.tanh(self._height(x))
        return x + self._along(u, t), self._slope(t, gap).log()

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        u, m, gap = self._direction()
        height = self._height(z)

        def equation(v: Tensor) -> tuple[Tensor, Tensor]:
            t = torch.tanh(v)
            return v + m * t - height, self._slope(t, gap)

        v = increasing_root(equation, height - m.abs(), height + m.abs())
        t = torch.tanh(v)
        return z - self._along(u, t), -self._slope(t, gap).log()

    def _direction(self) -> tuple[Tensor, Tensor, Tensor]:
        r""":math:`\hat u`, :math:`m = w^\top \hat u` and :math:`1 + m`."""
        # In float64: of a strong pull (w.u << -1) the difference leaves little.
        w, u = self.w.double(), self.u.double()
        a = (w * u).sum()
        m, gap = above_minus_one(a)
        # The numerator is of the order of a squared: nothing is left of it before the denominator could vanish.
        u = u + (m - a) / (w.square().sum() + torch.finfo(w.dtype).tiny) * w
        return u.to(self.u), m.to(self.u), gap.to(self.u)

    def _height(self, x: Tensor) -> Tensor:
        # No matrix product: autocast would run that in half precision.
        return sum_event(x * self.w) + self.b

    def _along(self, u: Tensor, t: Tensor) -> Tensor:
        return u * t.view(t.shape[0], *(1,) * u.dim())

    @staticmethod
    def _slope(t: Tensor, gap: Tensor) -> Tensor:
        """1 + m (1 - t^2), as a sum of positive terms."""
        t = t.square()
        return t + gap * (1.0 - t)
