"""Affine coupling."""

from __future__ import annotations

import torch
from pydantic import PositiveFloat
from torch import Tensor

from zoo import Bijection, Conditioner, Mask, Part, Shape, component, sum_event


@component("affine_coupling", example={"mask": "checkerboard", "conditioner": {"type": "mlp", "width": 8}})
class AffineCoupling(Bijection):
    r"""Affine coupling: one part of the event passes through and sets scale and shift of the rest.

    .. math:: z_a = x_a, \qquad z_b = x_b \odot \exp(s(x_a)) + t(x_a)

    so that :math:`\log|\det \partial z / \partial x| = \sum_j s_j(x_a)`. The log-scales are bounded, :math:`s = c
    \tanh(\tilde s / c)` with :math:`c` = ``max_log_scale``, and the conditioner gives :math:`(\tilde s, t)`.

    References: Dinh et al., Density estimation using Real NVP, 2017, arXiv:1605.08803, eq. 4-8.

    Shapes: ``[B, *shape] -> [B, *shape]``, any shape that the mask and the conditioner take.

    >>> import torch, zoo
    >>> node = {"type": "affine_coupling", "mask": "checkerboard", "conditioner": "mlp"}
    >>> coupling = zoo.declare(zoo.Bijection, node)(zoo.Shape(4))
    >>> x = torch.ones(2, 4)
    >>> z, log_det = coupling(x)
    >>> torch.equal(z, x), log_det.tolist()    # the identity, before training
    (True, [0.0, 0.0])
    """

    def __init__(
        self, shape: Shape, *, mask: Part[Mask], conditioner: Part[Conditioner], max_log_scale: PositiveFloat = 2.0
    ) -> None:
        super().__init__(shape)
        self.mask = mask(shape)
        self.net = conditioner(self.mask.seen, self.mask.asked(2))
        self.max_log_scale = max_log_scale
        self._steepness = 1.0 / max_log_scale  # a product is half the price of a quotient

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        kept, changed = self.mask.split(x)
        s, t = self._scale_and_shift(kept, context)
        return self.mask.merge(kept, torch.addcmul(t, changed, s.exp())), sum_event(s)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        kept, changed = self.mask.split(z)
        s, t = self._scale_and_shift(kept, context)
        s = -s
        return self.mask.merge(kept, (changed - t) * s.exp()), sum_event(s)

    def decode(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        kept, changed = self.mask.split(z)
        s, t = self._scale_and_shift(kept, context)
        return self.mask.merge(kept, (changed - t) * (-s).exp())

    def _scale_and_shift(self, kept: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        h = self.net(self.mask.show(kept), context)
        if h.dtype != kept.dtype:
            # Under autocast the net answers in half precision; scales and log-determinants stay in the input's.
            h = h.to(kept.dtype)
        s, t = self.mask.answer(h).chunk(2, dim=1)
        return self.max_log_scale * torch.tanh(s * self._steepness), t
