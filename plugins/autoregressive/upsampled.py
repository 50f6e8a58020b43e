"""What a model of a large image is told of a small one."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import relu

from zoo import Event, Part, Shape

from .inputs.inputs import Inputs


class Upsampled(nn.Module):
    r"""A small image as a map of the size of the large one: a convolution, and a transposed one.

    .. math:: a = W * x_s, \qquad m = U *^T \max(0, a) + V \bar a

    The mean :math:`\bar a`, which the reference does not have, tells each place of all of the small image, however few
    layers there are.

    References: van den Oord et al., Pixel Recurrent Neural Networks, 2016, arXiv:1601.06759, sec. 3.6.

    Shapes: levels ``[B, C, h, w]`` to ``[B, size, H, W]``, where a pixel becomes ``scale`` times as many each way, and
    what is over is cut off.
    """

    source: ClassVar[str] = "small image"

    def __init__(self, inputs: Part[Inputs], scale: int, size: int, event: Event) -> None:
        super().__init__()
        self.size = size
        self.inputs = inputs(every(event, scale))
        self.conv = nn.Conv2d(self.inputs.features * event.shape[0], size, 3, padding=1)
        self.up = nn.ConvTranspose2d(size, size, scale, stride=scale)
        self.everywhere = nn.Linear(size, size, bias=False)
        self.sizes = tuple(event.shape)[1:]

    def forward(self, x: Tensor) -> Tensor:
        H, W = self.sizes
        a = self.conv(self.inputs(x, self.conv.weight.dtype))
        large: Tensor = self.up(relu(a))[:, :, :H, :W]
        everywhere: Tensor = self.everywhere(a.mean((2, 3)))
        return large + everywhere[..., None, None]


def every(event: Event, scale: int) -> Event:
    """Every ``scale``-th pixel of every ``scale``-th row, from the first; ValueError for data that are no images.

    >>> every(Event("image", Shape(1, 5, 4), levels=2), 2).shape
    Shape(1, 3, 2)
    """
    if len(event.shape) != 3:
        raise ValueError(f"a small image is a part of an image [C, H, W], not of {event.shape}")
    C, H, W = event.shape
    if scale > max(H, W):
        raise ValueError(f"of {event.shape} every {scale}th pixel is a single one: take a smaller scale")
    return replace(event, shape=Shape(C, -(-H // scale), -(-W // scale)))
