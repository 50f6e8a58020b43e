"""1x1 convolution after a nonlinearity."""

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
    r"""1x1 convolution after a nonlinearity: :math:`h' = W \phi(h) + b`.

    With several colours a feature sees those of colours up to its own.

    Args:
        activation: The nonlinearity :math:`\phi`, before the convolution.

    Shapes: `Streams` of ``[B, C, H, W]``, unchanged.
    """

    def __init__(self, shape: Shape, colours: int = 1, *, activation: Activation = "relu") -> None:
        super().__init__(shape, colours)
        self.layer = Pointwise(shape[0], shape[0], colours=colours)
        self.phi = nonlinearity(activation)

    def at(self, h: Tensor) -> Tensor:
        return linear(self.phi(h), self.layer.kernel().flatten(1), self.layer.conv.bias)
