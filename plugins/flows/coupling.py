"""Coupling layer."""

from __future__ import annotations

from zoo import Conditioner, Mask, Part, Shape, component, named

from .transformed_piece import TransformedPiece
from .transformer import Transformer


@component("coupling", example={"mask": "checkerboard", "conditioner": {"type": "mlp", "width": 8}})
class Coupling(TransformedPiece):
    r"""Coupling: one part of the event passes through and sets how each element of the rest is transformed.

    .. math:: z_a = x_a, \qquad z_{b,j} = \tau(x_{b,j};\, h_j(x_a))

    so that :math:`\log|\det \partial z / \partial x| = \sum_j \log \tau'(x_{b,j};\, h_j(x_a))`, where the
    ``transformer`` :math:`\tau` is any increasing map of a number and the ``conditioner`` gives its parameters
    :math:`h`. The ``mask`` says which part passes through. Conditioners start at zero and :math:`h = 0` is the
    identity, so the layer starts as the identity.

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
