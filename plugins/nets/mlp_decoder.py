"""Multi-layer perceptron as a decoder."""

from __future__ import annotations

from itertools import repeat
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from zoo import Decoder, Shape, component

from .activation import Activation
from .perceptron import perceptron


@component("mlp")
class MLPDecoder(Decoder):
    r"""Multi-layer perceptron with ``depth`` hidden layers of ``width`` units, from a code to data.

    .. math:: h_0 = z, \qquad h_l = \phi(W_l h_{l-1} + b_l), \qquad y = W h_L + b

    with :math:`\phi` the ``activation``, after which training drops units with probability ``dropout``. Any shape goes
    in and comes out: the input is flattened, the output is given its shape.

    Shapes: ``[B, *in_shape] -> [B, *out_shape]``.

    >>> import torch, zoo
    >>> decoder = zoo.declare(zoo.Decoder, "mlp")(zoo.Shape(6), zoo.Shape(1, 4, 4))
    >>> decoder(torch.ones(5, 6)).shape
    torch.Size([5, 1, 4, 4])
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        width: PositiveInt = 256,
        depth: PositiveInt = 2,
        activation: Activation = "relu",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__(in_shape, out_shape)
        self.layers = perceptron(in_shape.size, repeat(width, depth), out_shape.size, activation, dropout)
        self._sizes = tuple(out_shape)

    def forward(self, z: Tensor) -> Tensor:
        h: Tensor = self.layers(z.flatten(1))
        return torch.unflatten(h, 1, self._sizes) if len(self._sizes) > 1 else h
