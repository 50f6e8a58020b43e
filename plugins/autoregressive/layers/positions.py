"""Learned positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo import Shape, component

from ...nets.transformer.positions import axial
from ..causal.layer import CausalLayer, Seen, Stepper, Streams
from ..causal.raster_order import check_whole_pixels


@component("positions", example={})
class Positions(CausalLayer):
    r"""Learned vector for each row and each column, added to the features: :math:`h'_{ij} = h_{ij} + r_i + c_j`.

    Use it once, below layers that do not depend on positions (`transformer_block`).

    References: Parmar et al., Image Transformer, 2018, arXiv:1802.05751, sec. 3.1.

    Shapes: `Streams` of ``[B, C, H, W]``, unchanged, that of rows not used; ValueError if the channels of a pixel are
    drawn one by one.
    """

    def __init__(self, shape: Shape, colours: int = 1) -> None:
        super().__init__(shape, colours)
        check_whole_pixels(colours)
        C, H, W = shape
        self.rows = nn.Parameter(torch.empty(H, 1, C))
        self.columns = nn.Parameter(torch.empty(W, C))
        nn.init.normal_(self.rows, std=0.1)
        nn.init.normal_(self.columns, std=0.1)

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        return Streams(streams.v, streams.h + self.vectors().movedim(-1, 0))  # [B, C, H, W] + [C, H, W]

    def vectors(self) -> Tensor:
        """The vectors of all places, ``[H, W, C]``."""
        return axial(self.rows.squeeze(1), self.columns)

    def reach(self, seen: Seen) -> Seen:
        return seen

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper:
        return PositionsStepper(self)


class PositionsStepper(Stepper):
    """Incremental evaluation of positions, place by place."""

    def __init__(self, layer: Positions) -> None:
        self.coming = iter(layer.vectors().detach().unbind(0))
        self.here: tuple[Tensor, ...] = ()

    def row(self, v: Tensor | None) -> Tensor | None:
        self.here = next(self.coming).unbind(0)
        return v

    def step(self, j: int, h: Tensor) -> Tensor:
        return h + self.here[j]
