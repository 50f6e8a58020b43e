"""Mixture-of-logistics transformer."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor
from torch.nn.functional import logsigmoid

from zoo import component

from ..numerics.root_finding import increasing_root
from .affine import Affine
from .base import Transformer

SPREAD = 1.0
"""The outermost means at h = 0: no two components start alike, or they would learn alike."""


@component("logistic_mixture")
class LogisticMixture(Transformer):
    r"""Distribution function of a mixture of logistics, as a map of the line, followed by an affine map.

    .. math:: G_h(x) = \operatorname{logit} \sum_k \pi_k\, \sigma\bigl((x - \mu_k) / s_k\bigr), \qquad
       y = \exp(a)\, \bigl(x + (1 - \rho)(G_h(x) - G_0(x))\bigr) + b

    with :math:`h = (\tilde a, b, \tilde \pi, \tilde \mu, \tilde s)`: weights :math:`\pi` by softmax, all log-scales
    bounded as in ``affine``, means about fixed distinct offsets :math:`o_k` between -1 and 1. The paper has :math:`G_h`
    in the brackets, which is the identity only if all components are equal, and equal components stay equal. With
    :math:`G_0` subtracted, :math:`h = 0` is the identity while the components differ. The map increases: :math:`G_0'
    \le 1` (by Jensen's inequality, since :math:`u (1 - u)` is concave), so the brackets have a slope of at least
    :math:`\rho`, which keeps the inverse accurate in float32.

    The inverse bisects between the extremes over k of the root with the k-th component's logit
    :math:`(x - \mu_k) / s_k` for :math:`G_h` and :math:`x \mp 1` for :math:`G_0`, ends by Newton's steps, and has the
    gradient of the implicit function.

    Args:
        components: The number of logistics.
        max_log_scale: The bound of all log-scales.
        min_slope: The least slope :math:`\rho` of the map before the affine one.

    References: Ho et al., Flow++, 2019, arXiv:1902.00275, sec. 3.2 and app. A.

    >>> import torch, zoo
    >>> from zoo.plugins.flows.elementwise.base import Transformer
    >>> mixture = zoo.declare(Transformer, {"type": "logistic_mixture", "components": 2})()
    >>> h = torch.tensor([0.0, 0.0, 0.0, 0.0, -4.0, 4.0, 0.0, 0.0]).view(1, 8, 1)    # means at -5 and 5
    >>> x = torch.tensor([[2.0]])
    >>> y, log_slope = mixture(x, h)
    >>> y.item(), round(mixture.inverse(y, h)[0].item(), 4)
    (0.500..., 2.0)
    """

    def __init__(
        self,
        *,
        components: PositiveInt = 8,
        max_log_scale: PositiveFloat = 2.0,
        min_slope: Annotated[float, Field(gt=0, lt=1)] = 0.05,
    ) -> None:
        super().__init__()
        self.components = components
        self.max_log_scale = max_log_scale
        self.min_slope = min_slope
        self.affine = Affine(max_log_scale=max_log_scale)
        self.count = 2 + 3 * components

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        outer, mixture = self._parts(x, h)
        v, slope = self._bend(x, *mixture)
        y, log_scale = self.affine(v, outer)
        return y, log_scale + slope.log()

    def inverse(self, y: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        outer, mixture = self._parts(y, h)
        v, log_scale = self.affine.inverse(y, outer)
        x = self._unbend(v, *mixture)
        return x, log_scale - self._bend(x, *mixture)[1].log()

    def decode(self, y: Tensor, h: Tensor) -> Tensor:
        outer, mixture = self._parts(y, h)
        return self._unbend(self.affine.decode(y, outer), *mixture)

    def _parts(self, x: Tensor, h: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """The affine map's parameters; log-weights, means and log-scales of the components, ``[B, K, *shape]``."""
        outer, weights, means, scales = torch.split(h, [2, *[self.components] * 3], 1)  # [B, 2 or K, *shape]
        bounded = self.max_log_scale * torch.tanh(scales / self.max_log_scale)
        return outer, (weights.log_softmax(1), means + self._start(x), bounded)

    def _start(self, x: Tensor) -> Tensor:
        means = torch.linspace(-SPREAD, SPREAD, self.components, dtype=x.dtype, device=x.device)
        return means.view(1, -1, *(1,) * (x.dim() - 1))

    def _bend(self, x: Tensor, log_weight: Tensor, mean: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
        """The expression in the brackets, and its slope."""
        start = self._start(x)
        g, slope = _logit_cdf(x, log_weight, mean, log_scale)
        g_0, slope_0 = _logit_cdf(x, torch.full_like(start, -math.log(self.components)), start, torch.zeros_like(start))
        rest = 1.0 - self.min_slope
        return x + rest * (g - g_0), self.min_slope + rest * (slope + (1.0 - slope_0).clamp(min=0.0))

    def _unbend(self, v: Tensor, log_weight: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
        rest = 1.0 - self.min_slope
        with torch.no_grad():
            steepness = rest * log_scale.neg().exp()
            level, slope = v.unsqueeze(1) + mean * steepness, self.min_slope + steepness
            low, high = ((level - rest * SPREAD) / slope).amin(1), ((level + rest * SPREAD) / slope).amax(1)

        def equation(x: Tensor) -> tuple[Tensor, Tensor]:
            bent, slope = self._bend(x, log_weight, mean, log_scale)
            return bent - v, slope

        return increasing_root(equation, low, high, bisections=12)


def _logit_cdf(x: Tensor, log_weight: Tensor, mean: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
    r"""The logit of the mixture's distribution function :math:`F`, and its derivative :math:`f / F + f / (1 - F)`.

    Either tail may round to nothing, so :math:`F` and :math:`1 - F` stay logarithms, and the two quotients are means
    of the components' own under the weights that these have in the tail.
    """
    precision = log_scale.neg().exp()
    z = (x.unsqueeze(1) - mean) * precision  # [B, K, *shape]
    log_cdf = logsigmoid(z)
    below, above = log_weight + log_cdf, log_weight + log_cdf - z
    cdf = log_cdf.exp()
    slope = precision * (below.softmax(1) * (1.0 - cdf) + above.softmax(1) * cdf)
    return below.logsumexp(1) - above.logsumexp(1), slope.sum(1)
