"""A nonlinearity and a 1x1 convolution."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import linear

from zoo import Shape, component

from ...nets.activations import Activation
from ...nets.activations import activation as nonlinearity
from ..causal.conv1x1 import Pointwise
from ..causal.pointwise_layer import PlacewiseLayer


@component("pointwise", example={})
class PointwiseConv(PlacewiseLayer):
    r"""A nonlinearity, and a linear function of each place's features: :math:`h' = W \phi(h) + b`.

    The ``activation`` :math:`\phi` comes before the convolution. With several colours a feature sees those of colours
    up to its own.

    Shapes: `Streams` of ``[B, C, H, W]``, unchanged.
    """

    def __init__(self, shape: Shape, colours: int = 1, *, activation: Activation = "relu") -> None:
        super().__init__(shape, colours)
        self.layer = Pointwise(shape[0], shape[0], colours=colours)
        self.phi = nonlinearity(activation)

    def at(self, h: Tensor) -> Tensor:
        return linear(self.phi(h), self.layer.kernel().flatten(1), self.layer.conv.bias)
