"""Sinusoidal network."""

from __future__ import annotations

import math

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from zoo import Conditioner, Shape, component


@component("siren")
class Siren(Conditioner):
    r"""Perceptron with sine nonlinearities.

    .. math:: h_0 = x, \qquad h_l = \sin(\omega_l (W_l h_{l-1} + b_l)), \qquad y = W h_L + b

    The :math:`\omega` of all layers but the first is one. Hidden weights are uniform within :math:`\pm 1 / n` in the
    first layer and :math:`\pm \sqrt{6 / n}` in the others, of :math:`n` inputs, so that the inputs of all sines have a
    similar size; ``W`` and ``b`` start at zero. Input and output may have any shape.

    Args:
        width: The units of a hidden layer.
        depth: The number of hidden layers, :math:`L`.
        frequency: The :math:`\omega` of the first layer, which sets how finely it resolves inputs.

    References: Sitzmann et al., Implicit neural representations with periodic activation functions, 2020,
    arXiv:2006.09661, sec. 3.2.

    Shapes: ``[B, *in_shape] -> [B, *out_shape]``.

    >>> y = Siren(Shape(3), Shape(2, 4, 4), width=8)(torch.ones(5, 3))
    >>> tuple(y.shape), y.abs().max().item()
    ((5, 2, 4, 4), 0.0)
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        width: PositiveInt = 64,
        depth: PositiveInt = 2,
        frequency: PositiveFloat = 3.0,
    ) -> None:
        super().__init__(in_shape, out_shape)
        self.frequency = frequency
        self.first = nn.Linear(in_shape.size, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.last = nn.Linear(width, out_shape.size)
        nn.init.uniform_(self.first.weight, -1.0 / in_shape.size, 1.0 / in_shape.size)
        for layer in self.hidden:
            bound = math.sqrt(6.0 / width)
            nn.init.uniform_(layer.get_parameter("weight"), -bound, bound)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        h = torch.sin(self.frequency * self.first(x.flatten(1)))
        for layer in self.hidden:
            h = torch.sin(layer(h))
        y: Tensor = self.last(h)
        return y.view(-1, *self.out_shape)
