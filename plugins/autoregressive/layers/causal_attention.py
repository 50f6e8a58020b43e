"""Attention layer of PixelSNAIL."""

from __future__ import annotations

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.functional import glu

from zoo import Shape, component

from ..causal.attention import AttentionStepper, CausalAttention, reached
from ..causal.conv1x1 import Pointwise, PointwiseStepper
from ..causal.layer import CausalLayer, Seen, Stepper, Streams
from ..causal.raster_order import check_whole_pixels


@component("causal_attention", example={"heads": 2})
class AttentionLayer(CausalLayer):
    r"""Attention layer of PixelSNAIL: each place attends to all places up to its own, however far.

    .. math:: y = \mathrm{attention}(h, p), \qquad (b, c) = W y, \qquad h' = h + b \odot \sigma(c)

    where :math:`p`, two additional channels, is the position of a place, between -1/2 and 1/2 from the top and from the
    left. Features do not depend on their own pixel, and so a place attends to itself too: the first one only to itself.
    The added part starts at zero. Departures: in the paper keys and values also see the pixels themselves, and the
    residual layer around it gets y.

    Args:
        heads: The number of attention heads, each with a part of the channels.

    References: Chen et al., PixelSNAIL, 2017, arXiv:1712.09763, sec. 2.2 and fig. 4.

    Shapes: `Streams` of ``[B, C, H, W]``, unchanged, that of rows not used; ValueError if the channels of a pixel are
    drawn one by one, and for heads that do not divide C.
    """

    position: Tensor

    def __init__(self, shape: Shape, colours: int = 1, *, heads: PositiveInt = 8) -> None:
        super().__init__(shape, colours)
        check_whole_pixels(colours)
        C, H, W = shape
        self.attention = CausalAttention(C + 2, C, heads)
        self.out = Pointwise(C, 2 * C)
        nn.init.zeros_(self.out.conv.weight)
        nn.init.zeros_(self.out.conv.bias)  # type: ignore[arg-type]
        rows, columns = torch.meshgrid(_places(H), _places(W), indexing="ij")
        self.register_buffer("position", torch.stack([rows, columns]).unsqueeze(0), persistent=False)

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        v, h = streams
        position = self.position.to(h.dtype).expand(h.shape[0], -1, -1, -1)
        y = self.attention(torch.cat([h, position], dim=1))  # [B, C + 2, H, W] -> [B, C, H, W]
        return Streams(v, h + glu(self.out(y), dim=1))

    def reach(self, seen: Seen) -> Seen:
        return Seen(seen.v, seen.h | reached(seen.h))

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper:
        return AttentionLayerStepper(self, n)


class AttentionLayerStepper(Stepper):
    """Incremental evaluation of an attention layer on ``n`` images."""

    def __init__(self, layer: AttentionLayer, n: int) -> None:
        _, H, self.W = layer.shape
        self.attention: AttentionStepper = layer.attention.stepper(n, H * self.W)
        self.out = PointwiseStepper(layer.out)
        position = layer.position.to(self.out.taps.dtype).flatten(2)
        self.position = position.permute(2, 0, 1).expand(-1, n, -1).unbind(0)  # [n, 2] for each place
        self.start = -self.W

    def row(self, v: Tensor | None) -> Tensor | None:
        self.start += self.W
        return v

    def step(self, j: int, h: Tensor) -> Tensor:
        place = self.start + j
        y = self.attention.step(place, torch.cat([h, self.position[place]], dim=1))
        return h + glu(self.out(y), dim=1)


def _places(size: int) -> Tensor:
    return torch.arange(size) / size - 0.5
