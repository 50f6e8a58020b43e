"""U-net of gated residual layers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor

from zoo import Shape, TakesContext, component

from ..causal.layer import CausalLayer, Seen, Stepper, Streams
from ..causal.raster_order import check_whole_pixels
from ..causal.unet_level import Scale


@component("u_net", example={"blocks": 1, "scales": 2})
class UNet(CausalLayer, TakesContext):
    r"""U-net of gated residual layers: down to grids of half the height and width and up again, with skip connections.

    .. math:: s_k = \mathrm{layer}_k(s_{k-1}), \qquad t_K = \mathrm{up}(\mathrm{inner}(\mathrm{down}(s_K))), \qquad
       t_{k-1} = \mathrm{layer}'_k(t_k; s_k)

    At each scale K layers (`gated_resnet`) precede the next scale, and K + 1 layers with skip connections follow it:
    :math:`t_{-1}` is the output. At the last scale :math:`t_{K-1} = s_K`, and K layers follow. Down-sampling is by
    convolutions of stride two, up-sampling by transposed ones, shifted as all the others.

    Args:
        blocks: The number K of layers before the next scale.
        scales: The number of scales, each of half the height and width of the one before.
        dropout: The probability with which training drops a feature in a layer.
        context: The size of a context, which every layer gets; 0 for none.

    References: Salimans et al., PixelCNN++, 2017, arXiv:1701.05517, sec. 2.3-2.5 and fig. 2.

    Shapes: `Streams` of ``[B, C, H, W]``, unchanged; ValueError for a height or width that is not divisible by two to
    the power of ``scales - 1``, and if the channels of a pixel are drawn one by one.
    """

    vertical = True

    def __init__(
        self,
        shape: Shape,
        colours: int = 1,
        *,
        blocks: PositiveInt = 5,
        scales: Annotated[int, Field(ge=1, le=10)] = 3,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, colours)
        check_whole_pixels(colours)
        C, H, W = shape
        least = 2 ** (scales - 1)
        if H % least or W % least:
            raise ValueError(f"halves height and width {scales - 1} times: {H}x{W} is not divisible by {least}")
        self.context = context
        self.scale = Scale(C, blocks, scales, dropout, context)

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        after: Streams = self.scale(streams, context)
        return after

    def reach(self, seen: Seen) -> Seen:
        _, H, W = self.shape
        return self.scale.reach(H, W, seen)

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper:
        return self.scale.stepper(n, self.shape[2], context)
