"""Gated residual layer of PixelCNN++."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt
from torch import Tensor

from zoo import Shape, TakesContext, component

from ..causal.gated_resnet import GatedPair
from ..causal.layer import CausalLayer, Seen, Stepper, Streams
from ..causal.raster_order import check_whole_pixels


@component("gated_resnet", example={})
class GatedResNet(CausalLayer, TakesContext):
    r"""Gated residual layer of PixelCNN++: a stream of the rows above, and one of places, which gets input from the
    first.

    .. math::
        a = W_1 * \phi(v), \qquad (b, c) = W_2 * \phi(a) + e, \qquad v' = v + b \odot \sigma(c)

    .. math::
        a = W_3 * \phi(h) + U\, \phi(v'), \qquad (b, c) = W_4 * \phi(a) + f, \qquad h' = h + b \odot \sigma(c)

    with :math:`\phi` the ELU of both signs. All convolutions are weight-normalised and initialised from the first
    batch. :math:`e, f` are linear in the context.

    Args:
        dropout: The probability with which training drops a number of :math:`\phi(a)`.
        context: The size of a context; 0 for none.

    References: Salimans et al., PixelCNN++, 2017, arXiv:1701.05517, sec. 2.3 and 2.5, fig. 2.

    Shapes: `Streams` of ``[B, C, H, W]``, unchanged; ValueError if the channels of a pixel are drawn one by one.
    """

    vertical = True

    def __init__(
        self,
        shape: Shape,
        colours: int = 1,
        *,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, colours)
        check_whole_pixels(colours)
        self.context = context
        self.pair = GatedPair(shape[0], 0, dropout, context)

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        after: Streams = self.pair(streams, context=context)
        return after

    def reach(self, seen: Seen) -> Seen:
        _, H, W = self.shape
        return self.pair.reach(H, W, seen)

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper:
        return self.pair.stepper(n, self.shape[2], context)
