"""Multi-layer perceptron."""

from __future__ import annotations

from itertools import repeat
from typing import Annotated

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from zoo import Conditioner, Shape, TakesContext, component

from .activation import Activation
from .perceptron import perceptron


@component("mlp")
class MLP(Conditioner, TakesContext):
    r"""Multi-layer perceptron with ``depth`` hidden layers of ``width`` units.

    .. math:: h_0 = x, \qquad h_l = \phi(W_l h_{l-1} + b_l), \qquad y = W h_L + b

    with :math:`\phi` the ``activation``, after which training drops units with probability ``dropout``. ``W`` and ``b``
    start at zero. Any shape goes in and comes out: the input is flattened, the output is given its shape. A ``context``
    of that many numbers is put beside the input, :math:`h_0 = (x, c)`.

    Shapes: ``[B, *in_shape] -> [B, *out_shape]``.

    >>> import torch, zoo
    >>> net = zoo.declare(zoo.Conditioner, {"type": "mlp", "width": 8})(zoo.Shape(3), zoo.Shape(2, 4, 4))
    >>> y = net(torch.ones(5, 3))
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
        activation: Activation = "relu",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(in_shape, out_shape)
        self.context = context
        self.layers = perceptron(in_shape.size + context, repeat(width, depth), out_shape.size, activation, dropout)
        last = self.layers[-1]
        nn.init.zeros_(last.get_parameter("weight"))
        nn.init.zeros_(last.get_parameter("bias"))
        self._sizes = tuple(out_shape)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x = x if x.dim() == 2 else x.flatten(1)
        if context is not None and self.context:
            if context.dim() != 2:
                raise ValueError(
                    f"takes vectors as context, not {list(context.shape)}: use a convolutional conditioner"
                )
            x = torch.cat((x, context), dim=1)
        h: Tensor = self.layers(x)
        return torch.unflatten(h, 1, self._sizes) if len(self._sizes) > 1 else h
