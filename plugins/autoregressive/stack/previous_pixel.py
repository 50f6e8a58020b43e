"""First layer: the pixel before."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from zoo import Shape, component

from .colours import check_whole_pixels
from .entry import CausalEntry, EntryStepper
from .pointwise import Pointwise, PointwiseStepper
from .streams import Seen, Streams


@component("previous_pixel")
class PreviousPixel(CausalEntry):
    r"""Each place as a linear function of the pixel before it, in raster order: :math:`h_i = W x_{i-1} + b`.

    At the left edge that is the last one of the row above; the first place has a vector of its own. Attention above it
    then misses no pixel.

    References: Parmar et al., Image Transformer, 2018, arXiv:1802.05751, sec. 3.2.

    Shapes: as `CausalEntry`; ValueError where the channels of a pixel come one by one, and under layers that need a
    stream of rows.
    """

    def __init__(self, in_shape: Shape, out_shape: Shape, colours: int = 1, vertical: bool = False) -> None:
        super().__init__(in_shape, out_shape, colours, vertical)
        check_whole_pixels(colours)
        if vertical:
            raise ValueError("has no stream of rows, which a layer asks for: take the entry 'shifted' or 'masked'")
        self.conv = Pointwise(in_shape[0], out_shape[0])
        self.first = nn.Parameter(torch.zeros(out_shape[0], 1))

    def forward(self, x: Tensor) -> Streams:
        h = self.conv(x).flatten(2)[..., :-1]
        first = self.first.expand(h.shape[0], -1, -1).to(h.dtype)
        return Streams(None, torch.unflatten(torch.cat([first, h], dim=2), 2, x.shape[2:]))

    def reach(self) -> Seen:
        _, H, W = self.out_shape
        places = torch.eye(H * W, dtype=torch.bool, device="cpu")
        return Seen(None, pad(places[:-1], (0, 0, 1, 0)))

    def stepper(self, n: int) -> EntryStepper:
        return PreviousPixelStepper(self, n)


class PreviousPixelStepper(EntryStepper):
    """The pixel before, on the way through ``n`` images."""

    def __init__(self, entry: PreviousPixel, n: int) -> None:
        self.conv = PointwiseStepper(entry.conv)
        self.here = entry.first.detach().t().expand(n, -1)

    def row(self) -> Tensor | None:
        return None

    def read(self, j: int) -> Tensor:
        return self.here

    def write(self, j: int, colour: int, x: Tensor) -> None:
        self.here = self.conv(x)
