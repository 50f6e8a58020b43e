"""Convolutional residual network with weight normalisation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from zoo import Conditioner, Shape, TakesContext, component

from .activations import Activation, activation, overwriting
from .context_conv import ContextConv
from .convnet import check_same_size


def normed_conv(before: int, after: int, kernel: int) -> nn.Conv2d:
    r"""Convolution that preserves height and width, with its weight as :math:`w = g\, v / \lVert v \rVert`.

    The scales :math:`g` are the parameter ``parametrizations.weight.original0``, the directions :math:`v` are
    ``original1``.

    References: Salimans and Kingma, Weight Normalization, 2016, arXiv:1602.07868, eq. 2.

    >>> [name for name, _ in normed_conv(1, 2, 3).named_parameters()]
    ['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1']
    """
    conv: nn.Conv2d = weight_norm(nn.Conv2d(before, after, kernel, padding=kernel // 2))
    return conv


class ResidualBlock(nn.Module):
    r"""Pre-activation residual block.

    .. math:: y = x + w_2 * \phi(w_1 * \phi(x))

    References: He et al., Identity Mappings in Deep Residual Networks, 2016, arXiv:1603.05027, fig. 1b.

    Shapes: ``[B, width, H, W] -> [B, width, H, W]``.

    >>> import torch
    >>> ResidualBlock(4, (3, 1), "relu", 0.0)(torch.ones(2, 4, 5, 5)).shape
    torch.Size([2, 4, 5, 5])
    """

    def __init__(self, width: int, kernels: tuple[int, int], phi: Activation, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            activation(phi),
            normed_conv(width, width, kernels[0]),
            activation(phi),
            nn.Dropout(dropout) if dropout > 0 else nn.Identity(),
            normed_conv(width, width, kernels[1]),
        )

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.layers(x)
        return x + h


def residual_stack(width: int, blocks: int, phi: Activation) -> Iterator[nn.Module]:
    r"""Blocks of a 3x3 and a 1x1 convolution, followed by the nonlinearity of their sum.

    References: van den Oord et al., Neural Discrete Representation Learning, 2017, arXiv:1711.00937, sec. 4.1.

    >>> [type(layer).__name__ for layer in residual_stack(4, 2, "relu")]
    ['ResidualBlock', 'ResidualBlock', 'ReLU']
    """
    for _ in range(blocks):
        yield ResidualBlock(width, (3, 1), phi, 0.0)
    yield overwriting(phi)


def _odd(kernels: tuple[int, int]) -> tuple[int, int]:
    if any(kernel % 2 == 0 for kernel in kernels):
        raise ValueError("must be odd, to preserve height and width")
    return kernels


@component("resnet")
class ResNet(Conditioner, TakesContext):
    r"""Convolutional residual network: an input convolution, residual blocks, and a 1x1 output convolution.

    An activation comes before every convolution but the input one.

    Every convolution is weight-normalised, :math:`w = g\, v / \lVert v \rVert`; a parameter group with ``match:
    "*.original0"`` holds all scales :math:`g`. Those of the output convolution and its bias start at zero, and so does
    the output, while its directions are random.

    Args:
        width: The channels of all convolutions but the last.
        blocks: The number of residual blocks.
        kernels: The kernel sizes of a block's two convolutions, odd; the input convolution has the first.
        activation: The nonlinearity.
        dropout: The probability with which training drops a number before a block's second convolution.
        context: The channels of a context, a vector or an image, that a 1x1 convolution adds after the input
            convolution; 0 for none.

    References: Dinh et al., Density estimation using Real NVP, 2017, arXiv:1605.08803, sec. 3.7 and 4.1.

    Shapes: ``[B, C, H, W] -> [B, C', H, W]``; ValueError for any other.

    >>> import torch, zoo
    >>> net = zoo.declare(zoo.Conditioner, {"type": "resnet", "width": 8})(zoo.Shape(3, 4, 4), zoo.Shape(6, 4, 4))
    >>> y = net(torch.ones(5, 3, 4, 4))
    >>> tuple(y.shape), y.abs().max().item()
    ((5, 6, 4, 4), 0.0)
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        width: PositiveInt = 64,
        blocks: PositiveInt = 2,
        kernels: Annotated[tuple[PositiveInt, PositiveInt], AfterValidator(_odd)] = (3, 3),
        activation: Activation = "relu",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(in_shape, out_shape)
        self.context = context
        check_same_size(in_shape, out_shape)
        self.layers = nn.Sequential(
            normed_conv(in_shape[0], width, kernels[0]),
            *(ResidualBlock(width, kernels, activation, dropout) for _ in range(blocks)),
            _output(width, out_shape[0], activation),
        )
        self.context_conv = ContextConv(context, width) if context else None

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        if self.context_conv is None or context is None:
            y: Tensor = self.layers(x)
            return y
        first, *others = self.layers
        h: Tensor = self.context_conv(first(x), context)
        for layer in others:
            h = layer(h)
        return h


def _output(width: int, channels: int, phi: Activation) -> nn.Sequential:
    conv = normed_conv(width, channels, 1)
    nn.init.zeros_(conv.get_parameter("parametrizations.weight.original0"))
    nn.init.zeros_(conv.get_parameter("bias"))
    return nn.Sequential(activation(phi), conv)
