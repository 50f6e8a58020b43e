"""Affine coupling."""

from __future__ import annotations

from pydantic import PositiveFloat

from zoo import Conditioner, Mask, Part, Shape, component

from .affine import Affine
from .transformed_piece import TransformedPiece


@component("affine_coupling", example={"mask": "checkerboard", "conditioner": {"type": "mlp", "width": 8}})
class AffineCoupling(TransformedPiece):
    r"""Affine coupling: one part of the event passes through and sets scale and shift of the rest.

    .. math:: z_a = x_a, \qquad z_b = x_b \odot \exp(s(x_a)) + t(x_a)

    so that :math:`\log|\det \partial z / \partial x| = \sum_j s_j(x_a)`. The ``mask`` says which part passes through.
    The log-scales are bounded, :math:`s = c \tanh(\tilde s / c)` with :math:`c` = ``max_log_scale``, and the
    ``conditioner`` gives :math:`(\tilde s, t)`. It is short for ``coupling`` with the transformer ``affine``.

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
