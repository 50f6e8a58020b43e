"""U-Net of DDPM."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, silu

from zoo import Shape, TakesContext, component

from ...nets.transformer.attend import attend
from .base import Denoiser, sinusoids, zero

EPS = 1e-6
"""The number that is added to the variance of a group."""


@component("unet", example={"width": 8, "multiply": [1, 2], "blocks": 1, "attention": [4], "groups": 4})
class UNet(Denoiser, TakesContext):
    r"""U-Net of DDPM: residual blocks at falling resolutions and back, with connections across, and attention at some.

    The noise level is added in each block, as a vector of its sines and cosines that went through a perceptron. With
    128 channels, multiplied by 1, 2, 2, 2, two blocks and attention at 16, it is the network of DDPM for CIFAR-10:
    35,746,307 parameters.

    ValueError for data that is no image, and for sides that cannot be halved as often as there are factors.

    Args:
        width: The channels of the first resolution.
        multiply: The factor of the channels at each resolution; from each to the next the sides are halved.
        blocks: The residual blocks of a resolution on the way down; there is one more on the way up.
        attention: The heights of the images at which each block is followed by attention.
        dropout: The probability with which training drops a number within a block.
        groups: The groups of channels that are normalised together.
        context: The size of a context that is added to the noise level's vector; 0 for none.

    References: Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239, app. B; Ronneberger et al.,
    U-Net, 2015, arXiv:1505.04597.

    Shapes: ``[B, C, H, W]`` and levels ``[B]`` to ``[B, C', H, W]``.

    >>> import torch, zoo
    >>> net = UNet(zoo.Shape(1, 8, 8), zoo.Shape(1, 8, 8), width=8, multiply=[1, 2], groups=4)
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
        multiply: Annotated[Sequence[PositiveInt], Field(min_length=1)] = (1, 2, 2, 2),
        blocks: PositiveInt = 2,
        attention: Sequence[PositiveInt] = (16,),
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        groups: PositiveInt = 32,
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(in_shape, out_shape)
        self.context = context
        check_image(in_shape, 2 ** (len(multiply) - 1))
        if width % 2 or any(width * m % groups for m in multiply):
            raise ValueError(f"the width must be even, and {groups} groups must divide its multiples, got {width}")
        channels, E = [width * m for m in multiply], 4 * width
        exponents = torch.arange(width // 2, dtype=torch.float32) / (width // 2 - 1 or 1)
        self.register_buffer("frequencies", 10000.0**-exponents, persistent=False)
        self.level = nn.Sequential(nn.Linear(width, E), nn.SiLU(), nn.Linear(E, E))
        self.given = nn.Linear(context, E, bias=False) if context else None
        self.first = nn.Conv2d(in_shape[0], width, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        size, skips = in_shape[1], [width]
        for i, (before, after) in enumerate(pairwise([width, *channels])):
            for k in range(blocks):
                self.down.append(_Layer(after if k else before, after, E, size in attention, dropout, groups))
                skips.append(after)
            if i < len(channels) - 1:
                self.down.append(Down(after))
                skips.append(after)
                size //= 2
        last = channels[-1]
        self.middle = nn.ModuleList(
            [_Layer(last, last, E, True, dropout, groups), _Layer(last, last, E, False, dropout, groups)]
        )
        here = last
        for i, after in reversed(list(enumerate(channels))):
            for _ in range(blocks + 1):
                self.up.append(_Layer(here + skips.pop(), after, E, size in attention, dropout, groups))
                here = after
            if i:
                self.up.append(Up(after))
                size *= 2
        self.norm = nn.GroupNorm(groups, here, EPS)
        self.last = zero(nn.Conv2d(here, out_shape[0], 3, padding=1))

    def forward(self, x: Tensor, c: Tensor, context: Tensor | None = None) -> Tensor:
        e: Tensor = self.level(sinusoids(c, self.frequencies.to(c.dtype)))  # [B, E]
        if self.given is not None and context is not None:
            e = e + self.given(context)
        h = self.first(x)
        skips = [h]
        for layer in self.down:
            h = layer(h, e)
            skips.append(h)
        for layer in self.middle:
            h = layer(h, e)
        for layer in self.up:
            h = layer(h if isinstance(layer, Up) else torch.cat((h, skips.pop()), dim=1), e)
        y: Tensor = self.last(silu(self.norm(h)))
        return y


class _Layer(nn.Module):
    """A residual block, followed by attention or not."""

    def __init__(self, before: int, after: int, E: int, attends: bool, dropout: float, groups: int) -> None:
        super().__init__()
        self.block = ResidualBlock(before, after, E, dropout, groups)
        self.attention = SelfAttention(after, groups) if attends else None

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        h = self.block(h, e)
        return h if self.attention is None else self.attention(h)


class ResidualBlock(nn.Module):
    r"""Residual block with the vector of a noise level.

    .. math:: y = W x + w_2 * \phi(\mathrm{norm}(w_1 * \phi(\mathrm{norm}(x)) + V \phi(e)))

    with a 1x1 convolution W where the channels change.

    Shapes: ``[B, before, H, W]`` and ``[B, E]`` to ``[B, after, H, W]``.

    >>> ResidualBlock(4, 8, 3, 0.0, 2)(torch.zeros(1, 4, 5, 5), torch.zeros(1, 3)).shape
    torch.Size([1, 8, 5, 5])
    """

    def __init__(self, before: int, after: int, E: int, dropout: float, groups: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(groups, before, EPS), nn.GroupNorm(groups, after, EPS)
        self.conv1, self.conv2 = nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, padding=1)
        self.level = nn.Linear(E, after)
        self.drop = nn.Dropout(dropout)
        self.across = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        h = self.conv1(silu(self.norm1(x))) + self.level(silu(e))[..., None, None]
        y: Tensor = self.across(x) + self.conv2(self.drop(silu(self.norm2(h))))
        return y


class SelfAttention(nn.Module):
    r"""Attention of the places of an image to each other, with one head, added to its input.

    Shapes: ``[B, width, H, W]``, unchanged.

    >>> SelfAttention(4, 2)(torch.zeros(1, 4, 3, 3)).shape
    torch.Size([1, 4, 3, 3])
    """

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, EPS)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(x).flatten(2).mT  # [B, H W, width]
        q, k, v = self.qkv(tokens).chunk(3, dim=2)
        seen = attend(q.unsqueeze(1), k.unsqueeze(1), v.unsqueeze(1)).squeeze(1)
        y: Tensor = x + torch.unflatten(self.out(seen).mT, 2, x.shape[2:])
        return y


class Down(nn.Module):
    """Convolution of stride 2, padded at the right and the bottom alone; the noise level has no effect."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        y: Tensor = self.conv(pad(h, (0, 1, 0, 1)))
        return y


class Up(nn.Module):
    """Each place repeated twice along both sides, and a convolution; the noise level has no effect."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        y: Tensor = self.conv(interpolate(h, scale_factor=2.0, mode="nearest"))
        return y


def check_image(shape: Shape, by: int) -> None:
    """ValueError unless data is an image whose sides a number divides."""
    if len(shape) != 3:
        raise ValueError(f"needs images [C, H, W], got {shape}: use 'time_mlp'")
    if shape[1] % by or shape[2] % by:
        raise ValueError(
            f"the sides of {shape} must be multiples of {by}: use fewer resolutions, or 'patchify' around the network"
        )
