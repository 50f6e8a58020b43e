"""Rational-quadratic spline transformer."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor
from torch.nn.functional import pad

from zoo import component

from .base import Transformer


class _Bin(NamedTuple):
    """The bin of a number: left lower corner, sides, secant, and the derivatives at both ends."""

    x: Tensor
    y: Tensor
    width: Tensor
    height: Tensor
    secant: Tensor
    left: Tensor
    right: Tensor


@component("rational_quadratic_spline")
class RationalQuadraticSpline(Transformer):
    r"""Monotone rational-quadratic spline on :math:`[-b, b]`, with the identity beyond.

    In a bin with left lower corner :math:`(x_k, y_k)`, width :math:`w`, height :math:`v`, secant :math:`s = v / w` and
    derivatives :math:`d_k, d_{k+1}` at its ends, with :math:`\xi = (x - x_k) / w`,

    .. math:: A = d_k (1 - \xi) + s \xi, \quad B = s (1 - \xi) + d_{k+1} \xi, \qquad
       y = y_k + \frac{v\, \xi A}{(1 - \xi) B + \xi A}, \qquad
       \frac{dy}{dx} = s^2\, \frac{(1 - \xi) A + \xi B}{((1 - \xi) B + \xi A)^2}

    which is eq. 4 and 5 of the paper, written as sums of positive terms. With :math:`\eta = (y - y_k) / v` the
    discriminant of the inverse is such a sum too:

    .. math:: \xi = \frac{2 s \eta}{2 s \eta + g + \sqrt{g^2 + 4 s^2 \eta (1 - \eta)}}, \qquad
       g = d_k (1 - \eta) - d_{k+1} \eta

    Widths and heights are softmaxes, mixed with equal shares so that none is too small; derivatives at the inner knots
    are sigmoids between two limits, shifted to be one at :math:`h = 0`, and one at the ends.

    The paper's derivatives have no upper limit and its bins may be a thousandth. Then :math:`dy/dx`, which falls to
    :math:`2 s^2 / (s + d)` within a bin, gets so small that :math:`x` cannot be recovered from a float32 :math:`y`.
    With the default limits it is recovered to 1e-4 for every :math:`h`; wider limits may fit sharper densities and lose
    that.

    Numbers beyond :math:`\pm b` are unchanged. Put `standardize` first, and with the transformer ``composed`` an
    ``affine`` map before the spline, which moves numbers into the interval; with a heavy-tailed base, ``student_t``, an
    outlier costs the logarithm of its distance.

    Raises ValueError if that many bins of the smallest size do not fit, or the limits of the derivatives exclude one.

    Args:
        bins: The number of bins.
        bound: The bound :math:`b` of the interval, beyond which the map is the identity.
        min_bin: The least width and height of a bin, as a share of the interval.
        min_derivative: The lower limit of the derivatives at the inner knots, below one.
        max_derivative: The upper limit of the derivatives at the inner knots, above one.

    References: Durkan et al., Neural spline flows, 2019, arXiv:1906.04032, sec. 3.1.

    >>> import torch, zoo
    >>> from zoo.plugins.flows.elementwise.base import Transformer
    >>> spline = zoo.declare(Transformer, {"type": "rational_quadratic_spline", "bins": 2})()
    >>> h = torch.tensor([0.0, 0.0, 100.0, -100.0, 0.0]).view(1, 5, 1)    # nearly all height in the left bin
    >>> y, log_slope = spline(torch.tensor([[0.0]]), h)
    >>> y.item(), log_slope.exp().item()
    (2.7599..., 1.0)
    """

    def __init__(
        self,
        *,
        bins: Annotated[int, Field(ge=2)] = 8,
        bound: PositiveFloat = 3.0,
        min_bin: Annotated[float, Field(gt=0, lt=1)] = 0.04,
        min_derivative: PositiveFloat = 0.1,
        max_derivative: PositiveFloat = 3.0,
    ) -> None:
        super().__init__()
        if bins * min_bin >= 1.0:
            raise ValueError(f"{bins} bins need a min_bin below 1/{bins}, got {min_bin:g}")
        if not min_derivative < 1.0 < max_derivative:
            raise ValueError(f"the range of derivatives must contain 1, got {min_derivative:g} to {max_derivative:g}")
        self.bins, self.bound, self.min_bin = bins, bound, min_bin
        self.min_derivative, self.max_derivative = min_derivative, max_derivative
        self.count = 3 * bins - 1
        self._at_zero = math.log((1.0 - min_derivative) / (max_derivative - 1.0))
        free = 1.0 - bins * min_bin
        self._floor, self._unit = min_bin / free, 2.0 * bound * free

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        inside = x.clamp(-self.bound, self.bound)
        at = self._bin(inside, h, axis=0)
        xi = _within_one((inside - at.x) / at.width)
        a, b = torch.lerp(at.left, at.secant, xi), torch.lerp(at.secant, at.right, xi)
        below = torch.lerp(b, a, xi)
        y = at.y + at.height * xi * a / below
        return y + (x - inside), _log_slope(at.secant, torch.lerp(a, b, xi), below)

    def inverse(self, y: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        inside = y.clamp(-self.bound, self.bound)
        at, xi = self._solve(inside, h)
        a, b = torch.lerp(at.left, at.secant, xi), torch.lerp(at.secant, at.right, xi)
        x = at.x + at.width * xi
        return x + (y - inside), -_log_slope(at.secant, torch.lerp(a, b, xi), torch.lerp(b, a, xi))

    def decode(self, y: Tensor, h: Tensor) -> Tensor:
        inside = y.clamp(-self.bound, self.bound)
        at, xi = self._solve(inside, h)
        return at.x + at.width * xi + (y - inside)

    def _solve(self, y: Tensor, h: Tensor) -> tuple[_Bin, Tensor]:
        """The bin of y, and the position of x within it."""
        at = self._bin(y, h, axis=1)
        eta = _within_one((y - at.y) / at.height)
        rest = 1.0 - eta
        twice = 2.0 * at.secant
        rise = twice * eta
        g = at.left * rest - at.right * eta
        return at, rise / (rise + g + torch.addcmul(g * g, rise, twice * rest).sqrt())

    def _bin(self, at: Tensor, h: Tensor, *, axis: int) -> _Bin:
        """The bin of numbers within the bounds, by x (axis 0) or by y (axis 1)."""
        sizes, slopes = torch.split(h, [2 * self.bins, self.bins - 1], 1)  # [B, 2K, *shape], [B, K - 1, *shape]
        sizes = torch.unflatten(sizes, 1, (2, self.bins)).softmax(2) + self._floor  # [B, 2, K, *shape]
        with torch.no_grad():
            passed = sizes[:, axis, :-1].cumsum(1) * self._unit - self.bound <= at.unsqueeze(1)
            k = passed.sum(1, keepdim=True)  # [B, 1, *shape]
        # Sums under a mask instead of a cumulative sum: its gradient is a product, not two flips and another sum.
        corners = (sizes[:, :, :-1] * passed.unsqueeze(1)).sum(2) * self._unit - self.bound
        sides = sizes.gather(2, k.unsqueeze(1).expand(-1, 2, *k.shape[1:])).squeeze(2) * self._unit
        # [B, K + 1, *shape] with those of the ends, then [B, 2, *shape] of the bin.
        slopes = pad(slopes, (0, 0) * (at.dim() - 1) + (1, 1)).gather(1, torch.cat((k, k + 1), 1))
        slopes = torch.sigmoid(slopes + self._at_zero) * (self.max_derivative - self.min_derivative)
        left, right = (slopes + self.min_derivative).unbind(1)
        (x, y), (width, height) = corners.unbind(1), sides.unbind(1)  # [B, *shape] each
        return _Bin(x, y, width, height, height / width, left, right)


def _within_one(share: Tensor) -> Tensor:
    """The share clamped to [0, 1] after rounding, with the gradient of the identity."""
    return share + (share.clamp(0.0, 1.0) - share).detach()


def _log_slope(secant: Tensor, above: Tensor, below: Tensor) -> Tensor:
    return (above * (secant / below).square()).log()
