"""Network on patches of an image as its channels."""

from __future__ import annotations

from pydantic import PositiveInt
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from zoo import Part, Shape, TakesContext, component

from .base import Denoiser
from .unet import check_image


@component("patchify", example={"by": 2, "of": {"type": "unet", "width": 8, "multiply": [1], "blocks": 1, "groups": 4}})
class Patchify(Denoiser, TakesContext):
    r"""Network of an image of fewer places and more channels: each patch is one place.

    .. math:: [C, H, W] \to [C p^2, H / p, W / p]

    Half the sides cost a quarter of the time, and images whose sides cannot be halved often become those of a network
    with fewer resolutions.

    ValueError for sides that patches do not divide.

    Args:
        of: The network.
        by: The side p of a patch.

    References: Hoogeboom et al., Simple Diffusion, 2023, arXiv:2301.11093, sec. 3.3.

    Shapes: ``[B, C, H, W]`` and levels ``[B]`` to ``[B, C', H, W]``.

    >>> import torch, zoo
    >>> node = {"type": "patchify", "by": 2, "of": {"type": "unet", "width": 8, "multiply": [1], "groups": 4}}
    >>> net = zoo.declare(Denoiser, node)(zoo.Shape(1, 6, 6), zoo.Shape(1, 6, 6))
    >>> net(torch.ones(2, 1, 6, 6), torch.zeros(2)).shape
    torch.Size([2, 1, 6, 6])
    """

    def __init__(self, in_shape: Shape, out_shape: Shape, *, of: Part[Denoiser], by: PositiveInt = 2) -> None:
        super().__init__(in_shape, out_shape)
        check_image(in_shape, by)
        self.by = by
        self.of = of(_cut(in_shape, by), _cut(out_shape, by))
        self.context = self.of.context

    def forward(self, x: Tensor, c: Tensor, context: Tensor | None = None) -> Tensor:
        return pixel_shuffle(self.of(pixel_unshuffle(x, self.by), c, context), self.by)


def _cut(shape: Shape, by: int) -> Shape:
    C, H, W = shape
    return Shape(C * by * by, H // by, W // by)
