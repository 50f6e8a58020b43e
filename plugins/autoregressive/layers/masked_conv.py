"""Masked convolution."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, NonNegativeInt, PositiveInt
from torch import Tensor

from zoo import Shape, TakesContext, component

from ...nets.activations import Activation
from ...nets.activations import activation as nonlinearity
from ...nets.context_conv import Given
from ..causal.layer import CausalLayer, Seen, Stepper, Streams, near, through
from ..causal.masked_conv import CausalConv, ConvStepper, odd


@component("masked_conv", example={})
class MaskedConv(CausalLayer, TakesContext):
    r"""Masked convolution (mask B) after a nonlinearity: :math:`h' = W * \phi(h) + b + c`.

    Of the window around its place it sees the rows above, and in its own row the places up to its own. :math:`c` is
    linear in the context. `pointwise` and `residual` combine it into blocks.

    Args:
        kernel: The rows and columns of the window, odd.
        activation: The nonlinearity :math:`\phi`, before the convolution.
        context: The size of a context; 0 for none.

    References: van den Oord et al., Pixel Recurrent Neural Networks, 2016, arXiv:1601.06759, sec. 3.4.

    Shapes: `Streams` of ``[B, C, H, W]``, unchanged.
    """

    def __init__(
        self,
        shape: Shape,
        colours: int = 1,
        *,
        kernel: Annotated[PositiveInt, AfterValidator(odd)] = 3,
        activation: Activation = "relu",
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, colours)
        C, side = shape[0], kernel // 2
        self.context = context
        self.phi = nonlinearity(activation)
        self.conv = CausalConv(C, C, above=side, left=side, right=side, colours=colours)
        self.given = Given(context, C) if context else None

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        h = self.conv(self.phi(streams.h))
        if self.given is not None and context is not None:
            h = h + self.given(context)
        return Streams(streams.v, h)

    def reach(self, seen: Seen) -> Seen:
        _, H, W = self.shape
        return Seen(seen.v, through(near(H, W, self.conv.offsets), seen.h))

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper:
        return MaskedConvStepper(self, n, context)


class MaskedConvStepper(Stepper):
    """Incremental evaluation of a masked convolution on ``n`` images."""

    def __init__(self, layer: MaskedConv, n: int, context: Tensor | None) -> None:
        self.phi = layer.phi
        self.conv = ConvStepper(layer.conv, n, layer.shape[2])
        self.given = None if layer.given is None or context is None else layer.given.rows(context)

    def row(self, v: Tensor | None) -> Tensor | None:
        self.conv.row(None if self.given is None else next(self.given))
        return v

    def step(self, j: int, h: Tensor) -> Tensor:
        self.conv.write(j, self.phi(h))
        return self.conv.read(j)
