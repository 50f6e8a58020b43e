"""U-Net of EDM: DDPM++."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, silu

from zoo import Shape, TakesContext, component

from ...nets.transformer.attend import attend
from .base import Denoiser, sinusoids, zero
from .unet import EPS, check_image

HALF = 0.5**0.5
"""The factor of a sum of two branches, by which its variance remains that of one."""
SMALL = 1e-5
"""The gain of a block's last layer when it is new."""


@component("edm_unet", example={"width": 8, "multiply": [1, 2], "blocks": 1, "attention": [4]})
class EDMUNet(Denoiser, TakesContext):
    r"""U-Net of EDM for small images, DDPM++: a deeper `unet` whose blocks change the resolution themselves.

    .. math:: y = \frac{1}{\sqrt 2} \bigl( W r(x) + w_2 * \phi(\mathrm{norm}(w_1 * r(\phi(\mathrm{norm}(x))) + V e))
       \bigr)

    with r the mean of 2x2 places, their repetition, or neither. Sums are divided by :math:`\sqrt 2`, on the way up only
    the last block of a resolution is followed by attention, and the context is added to the sines and cosines of the
    noise level. With 128 channels, multiplied by 2, 2, 2, four blocks and attention at 16, it is EDM's for CIFAR-10:
    55,732,739 parameters, and 55,733,891 with a context of 9, its labels of augmentations.

    ValueError for data that is no image, and for sides that cannot be halved as often as there are factors.

    Args:
        width: The channels of the first layer.
        multiply: The factor of the channels at each resolution; from each to the next the sides are halved.
        blocks: The residual blocks of a resolution on the way down; there is one more on the way up.
        attention: The heights of the images at which blocks are followed by attention.
        dropout: The probability with which training drops a number within a block.
        context: The size of a context; 0 for none.

    References: Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, 2022,
    arXiv:2206.00364, app. F.1; Song et al., Score-Based Generative Modeling through SDEs, 2020, arXiv:2011.13456,
    app. H.

    Shapes: ``[B, C, H, W]`` and levels ``[B]`` to ``[B, C', H, W]``.

    >>> import torch, zoo
    >>> net = EDMUNet(zoo.Shape(1, 8, 8), zoo.Shape(1, 8, 8), width=8, multiply=[1, 2], blocks=1)
    >>> net(torch.ones(2, 1, 8, 8), torch.zeros(2)).shape
    torch.Size([2, 1, 8, 8])
    """

    frequencies: Tensor

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        width: PositiveInt = 128,
        multiply: Annotated[Sequence[PositiveInt], Field(min_length=1)] = (2, 2, 2),
        blocks: PositiveInt = 4,
        attention: Sequence[PositiveInt] = (16,),
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(in_shape, out_shape)
        check_image(in_shape, 2 ** (len(multiply) - 1))
        if width % 8:
            raise ValueError(f"the width must be a multiple of 8, got {width}")
        self.context = context
        E = 4 * width
        exponents = torch.arange(width // 2, dtype=torch.float32) / (width // 2 - 1)
        self.register_buffer("frequencies", 10000.0**-exponents, persistent=False)
        self.given = nn.Linear(context, width, bias=False) if context else None
        self.level = nn.Sequential(nn.Linear(width, E), nn.SiLU(), nn.Linear(E, E), nn.SiLU())
        self.first = nn.Conv2d(in_shape[0], width, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        size, here, skips = in_shape[1], width, [width]

        def block(before: int, after: int, attends: bool = False, resample: str = "") -> EDMBlock:
            return EDMBlock(before, after, E, dropout, attends, resample)

        for i, factor in enumerate(multiply):
            if i:
                self.down.append(block(here, here, resample="down"))
                skips.append(here)
                size //= 2
            for _ in range(blocks):
                self.down.append(block(here, width * factor, size in attention))
                here = width * factor
                skips.append(here)
        self.middle = nn.ModuleList([block(here, here, True), block(here, here)])
        for i, factor in reversed(list(enumerate(multiply))):
            for k in range(blocks + 1):
                self.up.append(block(here + skips.pop(), width * factor, k == blocks and size in attention))
                here = width * factor
            if i:
                self.up.append(block(here, here, resample="up"))
                size *= 2
        self.norm = nn.GroupNorm(_groups(here), here, EPS)
        self.last = nn.Conv2d(here, out_shape[0], 3, padding=1)
        for layer in (self.level[0], self.level[2], self.first, *([self.given] if self.given else [])):
            xavier(layer)
        zero(self.last)

    def forward(self, x: Tensor, c: Tensor, context: Tensor | None = None) -> Tensor:
        f = sinusoids(c, self.frequencies.to(c.dtype))  # [B, width]
        if self.given is not None and context is not None:
            f = f + self.given(context)
        e = self.level(f)  # [B, E]
        h = self.first(x)
        skips = [h]
        for block in self.down:
            h = block(h, e)
            skips.append(h)
        for block in self.middle:
            h = block(h, e)
        for block in self.up:
            resized = isinstance(block, EDMBlock) and block.resample == "up"
            h = block(h if resized else torch.cat((h, skips.pop()), dim=1), e)
        y: Tensor = self.last(silu(self.norm(h)))
        return y


class EDMBlock(nn.Module):
    """Residual block with the vector of a noise level, a change of the resolution and attention.

    Shapes: ``[B, before, H, W]`` and ``[B, E]`` to ``[B, after, H', W']``.

    >>> EDMBlock(4, 8, 3, 0.0, True, "down")(torch.zeros(1, 4, 6, 6), torch.zeros(1, 3)).shape
    torch.Size([1, 8, 3, 3])
    """

    def __init__(self, before: int, after: int, E: int, dropout: float, attends: bool, resample: str = "") -> None:
        super().__init__()
        self.resample = resample
        self.norm1, self.norm2 = (nn.GroupNorm(_groups(width), width, EPS) for width in (before, after))
        self.conv1, self.conv2 = nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, padding=1)
        self.level = nn.Linear(E, after)
        self.drop = nn.Dropout(dropout)
        self.across = nn.Conv2d(before, after, 1) if before != after or resample else None
        self.norm3 = nn.GroupNorm(_groups(after), after, EPS) if attends else None
        self.qkv = nn.Conv2d(after, 3 * after, 1) if attends else None
        self.out = nn.Conv2d(after, after, 1) if attends else None
        gains = {self.conv1: 1.0, self.conv2: SMALL, self.level: 1.0, self.across: 1.0, self.qkv: 0.2**0.5}
        for layer, gain in {**gains, self.out: SMALL}.items():
            if layer is not None:
                xavier(layer, gain)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        h: Tensor = self.conv1(self._resized(silu(self.norm1(x)))) + self.level(e)[..., None, None]
        h = self.conv2(self.drop(silu(self.norm2(h))))
        x = self._resized(x)
        h = HALF * (h + (x if self.across is None else self.across(x)))
        if self.norm3 is None or self.qkv is None or self.out is None:
            return h
        q, k, v = self.qkv(self.norm3(h)).flatten(2).mT.unsqueeze(1).chunk(3, dim=3)  # [B, 1, H W, after]
        seen = torch.unflatten(attend(q, k, v).squeeze(1).mT, 2, h.shape[2:])
        y: Tensor = HALF * (h + self.out(seen))
        return y

    def _resized(self, x: Tensor) -> Tensor:
        if self.resample == "down":
            return avg_pool2d(x, 2)
        return interpolate(x, scale_factor=2.0, mode="nearest") if self.resample else x


def xavier(layer: nn.Module, gain: float = 1.0) -> None:
    """Set a layer's weight to uniform noise by its inputs and outputs, and its bias to zero."""
    nn.init.xavier_uniform_(layer.get_parameter("weight"), gain)
    if getattr(layer, "bias", None) is not None:
        nn.init.zeros_(layer.get_parameter("bias"))


def _groups(width: int) -> int:
    """32 groups, or fewer so that each has at least four channels."""
    return min(32, max(width // 4, 1))
