"""Multi-layer perceptrons: conditioner, encoder, decoder."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, pairwise, repeat
from typing import Annotated

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from zoo import Conditioner, Decoder, Encoder, Shape, TakesContext, component

from .activations import Activation, overwriting


def perceptron(before: int, hidden: Iterable[int], after: int, phi: Activation, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers from ``before`` numbers through the ``hidden`` ones to ``after``, with nonlinearities between them.

    >>> perceptron(3, [8], 2, "relu")
    Sequential(
      (0): Linear(in_features=3, out_features=8, bias=True)
      (1): ReLU(inplace=True)
      (2): Linear(in_features=8, out_features=2, bias=True)
    )
    """
    layers: list[nn.Module] = []
    width = before
    # An iterator, not a list: a very large depth from a file could fill the memory before a layer is built.
    for wide, width in pairwise(chain([before], hidden)):
        layers += [nn.Linear(wide, width), overwriting(phi)]
        layers += [nn.Dropout(dropout)] if dropout > 0 else []
    return nn.Sequential(*layers, nn.Linear(width, after))


@component("mlp")
class MLP(Conditioner, TakesContext):
    r"""Multi-layer perceptron.

    .. math:: h_0 = x, \qquad h_l = \phi(W_l h_{l-1} + b_l), \qquad y = W h_L + b

    ``W`` and ``b`` start at zero. The input, of any shape, is flattened, and the output reshaped.

    Args:
        width: The units of a hidden layer.
        depth: The number of hidden layers, :math:`L`.
        activation: The nonlinearity :math:`\phi`.
        dropout: The probability with which training drops a hidden unit.
        context: The size of a context that is concatenated to the input, :math:`h_0 = (x, c)`; 0 for none.

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
        x = x if x.dim() == 2 else x.flatten(1)  # [B, D]
        if context is not None and self.context:
            if context.dim() != 2:
                raise ValueError(
                    f"takes vectors as context, got {list(context.shape)}: use a convolutional conditioner"
                )
            x = torch.cat((x, context), dim=1)  # [B, D + context]
        h: Tensor = self.layers(x)
        return torch.unflatten(h, 1, self._sizes) if len(self._sizes) > 1 else h


@component("mlp")
class MLPEncoder(Encoder):
    r"""Multi-layer perceptron from data to a code.

    .. math:: h_0 = x, \qquad h_l = \phi(W_l h_{l-1} + b_l), \qquad y = W h_L + b

    The input, of any shape, is flattened, and the output reshaped.

    Args:
        width: The units of a hidden layer.
        depth: The number of hidden layers, :math:`L`.
        activation: The nonlinearity :math:`\phi`.
        dropout: The probability with which training drops a hidden unit.

    Shapes: ``[B, *in_shape] -> [B, *out_shape]``.

    >>> import torch, zoo
    >>> encoder = zoo.declare(zoo.Encoder, "mlp")(zoo.Shape(1, 4, 4), zoo.Shape(6))
    >>> encoder(torch.ones(5, 1, 4, 4)).shape
    torch.Size([5, 6])
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

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.layers(x.flatten(1))  # [B, out]
        return torch.unflatten(h, 1, self._sizes) if len(self._sizes) > 1 else h


@component("mlp")
class MLPDecoder(Decoder):
    r"""Multi-layer perceptron from a code to data.

    .. math:: h_0 = z, \qquad h_l = \phi(W_l h_{l-1} + b_l), \qquad y = W h_L + b

    The input, of any shape, is flattened, and the output reshaped.

    Args:
        width: The units of a hidden layer.
        depth: The number of hidden layers, :math:`L`.
        activation: The nonlinearity :math:`\phi`.
        dropout: The probability with which training drops a hidden unit.

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
        h: Tensor = self.layers(z.flatten(1))  # [B, out]
        return torch.unflatten(h, 1, self._sizes) if len(self._sizes) > 1 else h
