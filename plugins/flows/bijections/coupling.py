"""Coupling layers."""

from __future__ import annotations

from abc import ABC

from pydantic import PositiveFloat
from torch import Tensor

from zoo import Bijection, Conditioner, Mask, Part, Shape, component, named, sum_event

from ..elementwise.affine import Affine
from ..elementwise.base import Transformer


class TransformedPiece(Bijection, ABC):
    """Bijection that leaves one piece of the event unchanged, on which the transformation of the other piece depends.

    The conditioner sees what the mask shows of the kept piece, and returns ``count`` numbers for each changed element:
    the first of all elements, then the second of all elements, and so on.
    """

    def __init__(
        self, shape: Shape, mask: Part[Mask], conditioner: Part[Conditioner], transformer: Transformer
    ) -> None:
        super().__init__(shape)
        self.mask = mask(shape)
        self.transformer = transformer
        self.net = conditioner(self.mask.seen, self.mask.asked(transformer.count))
        self._sizes = (-1, transformer.count, *self.mask.changed)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        kept, changed = self.mask.split(x)
        y, log_slope = self.transformer(changed, self._answer(kept, context))
        return self.mask.merge(kept, y), sum_event(log_slope)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        kept, changed = self.mask.split(z)
        x, log_slope = self.transformer.inverse(changed, self._answer(kept, context))
        return self.mask.merge(kept, x), sum_event(log_slope)

    def decode(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        kept, changed = self.mask.split(z)
        return self.mask.merge(kept, self.transformer.decode(changed, self._answer(kept, context)))

    def _answer(self, kept: Tensor, context: Tensor | None) -> Tensor:
        h = self.net(self.mask.show(kept), context)
        if h.dtype != kept.dtype:
            # Under autocast the net answers in half precision; transforms and log-determinants stay in the input's.
            h = h.to(kept.dtype)
        return self.mask.answer(h).reshape(self._sizes)  # [B, count, *changed]


@component("coupling", example={"mask": "checkerboard", "conditioner": {"type": "mlp", "width": 8}})
class Coupling(TransformedPiece):
    r"""Coupling: one part of the event passes through and sets how each element of the rest is transformed.

    .. math:: z_a = x_a, \qquad z_{b,j} = \tau(x_{b,j};\, h_j(x_a))

    so that :math:`\log|\det \partial z / \partial x| = \sum_j \log \tau'(x_{b,j};\, h_j(x_a))`. Conditioners start at
    zero and :math:`h = 0` is the identity, so the layer starts as the identity.

    Args:
        mask: Which part passes through unchanged, :math:`x_a`.
        conditioner: The network :math:`h`, which computes the parameters of the transformer.
        transformer: The increasing map of a number, :math:`\tau`.

    References: Dinh et al., NICE, 2015, arXiv:1410.8516, sec. 3.2; Papamakarios et al., Normalizing flows for
    probabilistic modeling and inference, 2021, arXiv:1912.02762, sec. 3.1.

    Shapes: ``[B, *shape] -> [B, *shape]``, any shape that the mask and the conditioner take.

    >>> import torch, zoo
    >>> node = {"type": "coupling", "mask": "channel", "conditioner": "mlp", "transformer": "additive"}
    >>> coupling = zoo.declare(zoo.Bijection, node)(zoo.Shape(4))
    >>> x = torch.ones(2, 4)
    >>> z, log_det = coupling(x)
    >>> torch.equal(z, x), log_det.tolist()    # the identity, before training
    (True, [0.0, 0.0])
    """

    def __init__(
        self,
        shape: Shape,
        *,
        mask: Part[Mask],
        conditioner: Part[Conditioner],
        transformer: Part[Transformer] = named("affine"),
    ) -> None:
        super().__init__(shape, mask, conditioner, transformer())


@component("affine_coupling", example={"mask": "checkerboard", "conditioner": {"type": "mlp", "width": 8}})
class AffineCoupling(TransformedPiece):
    r"""Affine coupling: one part of the event passes through and sets scale and shift of the rest.

    .. math:: z_a = x_a, \qquad z_b = x_b \odot \exp(s(x_a)) + t(x_a)

    so that :math:`\log|\det \partial z / \partial x| = \sum_j s_j(x_a)`. The log-scales are bounded, :math:`s = c
    \tanh(\tilde s / c)`. It is short for ``coupling`` with the transformer ``affine``.

    Args:
        mask: Which part passes through unchanged, :math:`x_a`.
        conditioner: The network that computes :math:`(\tilde s, t)`.
        max_log_scale: The bound of the log-scales, :math:`c`.

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
        super().__init__(shape, mask, conditioner, Affine(max_log_scale=max_log_scale))
