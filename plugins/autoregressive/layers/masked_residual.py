"""Residual block of PixelCNN."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import AfterValidator, NonNegativeInt, PositiveInt
from torch import Tensor
from torch.nn.functional import relu

from zoo import Shape, TakesContext, component

from ...nets.context_conv import Given
from ..causal.conv1x1 import Pointwise, PointwiseStepper
from ..causal.layer import CausalLayer, Seen, Stepper, Streams, near, through
from ..causal.masked_conv import CausalConv, ConvStepper, odd


@component("masked_residual", example={})
class MaskedResidual(CausalLayer, TakesContext):
    r"""Residual block of PixelCNN: to half of the channels, a masked convolution, and back.

    .. math:: h' = h + W_3\, \phi(W_2 * \phi(W_1\, \phi(h)) + c), \qquad \phi = \max(0, \cdot)

    :math:`W_1` and :math:`W_3` are 1x1 convolutions, :math:`W_2` is masked (mask B): of the window around its place it
    sees the rows above, and in its own row the places up to its own. :math:`c` is linear in the context. A stack of
    such layers has a blind spot, above and to the right of the window.

    Args:
        kernel: The rows and columns of the window, odd.
        context: The size of a context; 0 for none.

    References: van den Oord et al., Pixel Recurrent Neural Networks, 2016, arXiv:1601.06759, fig. 5 and table 1.

    Shapes: `Streams` of ``[B, C, H, W]``, unchanged; C is even.
    """

    def __init__(
        self,
        shape: Shape,
        colours: int = 1,
        *,
        kernel: Annotated[PositiveInt, AfterValidator(odd)] = 3,
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, colours)
        C, half, side = shape[0], shape[0] // 2, kernel // 2
        if C % (2 * colours):
            raise ValueError(f"halves the channels: a width of {C} is not a multiple of {2 * colours}")
        self.context = context
        self.into = Pointwise(C, half, colours=colours)
        self.conv = CausalConv(half, half, above=side, left=side, right=side, colours=colours)
        self.out = Pointwise(half, C, colours=colours, bias=False)
        self.given = Given(context, half) if context else None

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        # Pad first, then rectify: compiled, the mask of a stored tensor is then free.
        b = self.conv.within(relu(self.conv.pad(self.into(relu(streams.h)))))
        if self.given is not None and context is not None:
            b = b + self.given(context)
        return Streams(streams.v, streams.h + self.out(relu(b)))

    def reach(self, seen: Seen) -> Seen:
        _, H, W = self.shape
        return Seen(seen.v, through(near(H, W, self.conv.offsets), seen.h) | seen.h)

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper:
        return MaskedResidualStepper(self, n, context)


class MaskedResidualStepper(Stepper):
    """Incremental evaluation of a masked residual block on ``n`` images."""

    def __init__(self, layer: MaskedResidual, n: int, context: Tensor | None) -> None:
        self.into = PointwiseStepper(layer.into)
        self.conv = ConvStepper(layer.conv, n, layer.shape[2])
        self.out = layer.out.taps()
        self.given = None if layer.given is None or context is None else layer.given.rows(context)

    def row(self, v: Tensor | None) -> Tensor | None:
        self.conv.row(None if self.given is None else next(self.given))
        return v

    def step(self, j: int, h: Tensor) -> Tensor:
        self.conv.write(j, self.into(relu(h)).relu_())
        return torch.addmm(h, self.conv.read(j).relu_(), self.out)
