"""Generator and discriminator of BigGAN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from zoo import AfterStep, Clock, Decoder, Encoder, Shape, TakesContext, component

from ...nets.batch_norm import BatchNorm
from ...nets.spectral import iterate, normalise_spectrally
from .sngan import DownBlock, UpBlock, doublings

NARROW, WIDE = 8, 2
"""An attention has this many times fewer channels for keys and queries, and for values."""


class Attention(nn.Module):
    r"""Self-attention over the places of an image, added with a learned factor that starts at zero.

    .. math:: y = x + \gamma\, W_o \operatorname{softmax}(\theta(x)^\top \phi(x))\, g(x)

    with keys and values of the maxima of 2x2 places.

    References: Zhang et al., Self-Attention Generative Adversarial Networks, 2018, arXiv:1805.08318, eq. 1 to 3.

    Shapes: ``[B, C, H, W]``, unchanged.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow, wide = max(width // NARROW, 1), max(width // WIDE, 1)
        self.query, self.key = (nn.Conv2d(width, narrow, 1, bias=False) for _ in range(2))
        self.value = nn.Conv2d(width, wide, 1, bias=False)
        self.last = nn.Conv2d(wide, width, 1, bias=False)
        self.factor = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        q = self.query(x).flatten(2)  # [B, c, H W]
        k, v = (max_pool2d(conv(x), 2).flatten(2) for conv in (self.key, self.value))  # [B, c, H W / 4]
        share = (q.transpose(1, 2) @ k).softmax(2)  # [B, H W, H W / 4]
        seen = (v @ share.transpose(1, 2)).unflatten(2, (x.shape[2], x.shape[3]))
        y: Tensor = x + self.factor * self.last(seen)
        return y


GENERATOR = {4: (16, 16, 8, 4, 2), 5: (16, 16, 8, 4, 2, 1), 6: (16, 16, 8, 8, 4, 2, 1)}
DISCRIMINATOR = {4: (1, 2, 4, 8, 16), 5: (1, 2, 4, 8, 16, 16), 6: (1, 2, 4, 8, 8, 16, 16)}
"""The published multiples of the width, of feature maps in order, by the doublings of the sides."""
SMALL = 4
"""The multiple at all sizes of images with fewer doublings, such as 32x32."""


def channels_of(width: int, times: int, multiples: Mapping[int, Sequence[int]]) -> list[int]:
    """The channels of feature maps in order.

    >>> channels_of(96, 5, GENERATOR), channels_of(64, 3, GENERATOR)
    ([1536, 1536, 768, 384, 192, 96], [256, 256, 256, 256])
    """
    return [width * k for k in multiples.get(times, (SMALL,) * (times + 1))]


def started(net: nn.Module) -> None:
    """Orthogonal weights, as published."""
    for part in net.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


@component("biggan", example={"width": 2})
class BigGANDecoder(Decoder, TakesContext, AfterStep):
    r"""Generator of BigGAN: residual blocks whose batch normalisation follows the context and a part of the noise.

    .. math:: h_0 = W z_0, \qquad h_l = \mathrm{block}_l(h_{l-1}; c, z_l), \qquad y = w * \phi(\mathrm{BN}(h_L))

    with ReLU as :math:`\phi`. The noise is split into as many equal parts :math:`z_l` as there are blocks, and one for
    the start. At a size of ``attention`` each place sees all others. Weights are divided by their spectral norms, as
    `spectral` does. For 3x128x128, a width of 96, attention at 64, 120 numbers of noise and a context of 128 it has
    70,433,988 parameters with the embedding of 1000 classes.

    ValueError for noise that is not a multiple of the parts, and for an attention at a size that no block has.

    Args:
        width: The channels of the largest size of 128x128, of which smaller ones have up to 16 times as many; images of
            32x32 have four times as many at all sizes.
        attention: The side of the feature maps that have attention; 0 for none.
        spectral: ``reshaped`` for weights of spectral norm one, ``none`` for weights as they are.
        iterations: Steps of the power iteration after each training step.
        context: The size of a context; 0 for none.

    References: Brock et al., Large Scale GAN Training for High Fidelity Natural Image Synthesis, 2018,
    arXiv:1809.11096, section 3.1, appendix B; sizes and counts are those of ajbrock/BigGAN-PyTorch.

    Shapes: ``[B, *in_shape] -> [B, C, H, H]``; ValueError for other images.

    >>> import zoo
    >>> node = {"type": "biggan", "width": 2}
    >>> zoo.declare(zoo.Decoder, node)(zoo.Shape(6), zoo.Shape(1, 28, 28))(torch.ones(5, 6)).shape
    torch.Size([5, 1, 28, 28])
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        width: PositiveInt = 64,
        attention: NonNegativeInt = 0,
        spectral: Literal["reshaped", "none"] = "reshaped",
        iterations: PositiveInt = 1,
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(in_shape, out_shape)
        self.context, self.iterations = context, iterations
        times = doublings(out_shape)
        channels, side = channels_of(width, times, GENERATOR), out_shape[1] >> times
        sides = [side * 2 ** (i + 1) for i in range(times)]
        check_attention(attention, sides)
        if in_shape.size % (times + 1):
            raise ValueError(
                f"the noise has {times + 1} equal parts, for the start and each of {times} blocks: its size must be a "
                f"multiple of {times + 1}, got {in_shape.size}"
            )
        self._part = in_shape.size // (times + 1)
        self._start = (channels[0], side, side)
        self.first = nn.Linear(self._part, channels[0] * side * side)
        given = self._part + context
        self.blocks = nn.ModuleList(UpBlock(before, after, given) for before, after in pairwise(channels))
        self.attentions = nn.ModuleDict(
            {str(i): Attention(channels[i + 1]) for i, at in enumerate(sides) if at == attention}
        )
        self.norm = BatchNorm(channels[-1])
        self.last = nn.Conv2d(channels[-1], out_shape[0], 3, padding=1)
        started(self)
        if spectral != "none":
            normalise_spectrally(self, spectral, in_shape)

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        parts = z.flatten(1).split(self._part, dim=1)  # type: ignore[no-untyped-call]
        h: Tensor = torch.unflatten(self.first(parts[0]), 1, self._start)
        for i, block in enumerate(self.blocks):
            given = parts[i + 1] if context is None else torch.cat([context, parts[i + 1]], dim=1)
            h = block(h, given)
            if str(i) in self.attentions:
                h = self.attentions[str(i)](h)
        y: Tensor = self.last(self.norm(h).relu())
        return y

    def after_step(self, clock: Clock) -> None:
        iterate(self, self.iterations)


@component("biggan", example={"width": 2})
class BigGANEncoder(Encoder):
    r"""Discriminator of BigGAN: residual blocks that halve the image, one more, and a sum over all places.

    .. math:: h_l = \mathrm{down}(h_{l-1}) * w + \mathrm{conv}(\phi(\dots)), \qquad y = W \sum_{ij} \phi(h_L)_{ij} + b

    with ReLU as :math:`\phi`: ``{type: spectral, of: biggan}`` is the discriminator of BigGAN. With ``last: none`` the
    sums themselves are the output: the features of a `projection` head, with which it has 87,982,370 parameters for
    3x128x128 and 1000 classes at a width of 96, with attention at 64.

    Args:
        width: The channels of the first block of images of 128x128, of which later ones have up to 16 times as many.
        attention: The side of the feature maps that have attention; 0 for none.
        last: ``linear`` for a linear map of the sums, ``none`` for the sums.

    References: Brock et al., Large Scale GAN Training for High Fidelity Natural Image Synthesis, 2018,
    arXiv:1809.11096, appendix B; sizes and counts are those of ajbrock/BigGAN-PyTorch.

    Shapes: ``[B, C, H, H] -> [B, *out_shape]``; ValueError for other images, and without a last layer for an output of
    another size than the channels of the last block.

    >>> import zoo
    >>> zoo.declare(zoo.Encoder, {"type": "biggan", "width": 2})(zoo.Shape(1, 28, 28), zoo.Shape(1))(
    ...     torch.ones(5, 1, 28, 28)
    ... ).shape
    torch.Size([5, 1])
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        width: PositiveInt = 64,
        attention: NonNegativeInt = 0,
        last: Literal["linear", "none"] = "linear",
    ) -> None:
        super().__init__(in_shape, out_shape)
        times = doublings(in_shape)
        channels = [in_shape[0], *channels_of(width, times, DISCRIMINATOR)]
        halving = times if times in DISCRIMINATOR else min(times, 2)
        sides = [in_shape[1] >> min(i + 1, halving) for i in range(len(channels) - 1)]
        check_attention(attention, sides)
        if last == "none" and tuple(out_shape) != (channels[-1],):
            raise ValueError(
                f"without a last layer the output has {channels[-1]} numbers, the channels of the last block, "
                f"got {out_shape}"
            )
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(channels)):
            layers.append(DownBlock(before, after, halves=i < halving, first=i == 0))
            if sides[i] == attention and attention not in sides[:i]:
                layers.append(Attention(after))
        self.blocks = nn.Sequential(*layers)
        self.last = nn.Linear(channels[-1], out_shape.size) if last == "linear" else None
        self._sizes = tuple(out_shape)
        started(self)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.blocks(x).relu().sum((2, 3))  # [B, C]
        h = h if self.last is None else self.last(h)
        return torch.unflatten(h, 1, self._sizes) if len(self._sizes) > 1 else h


def check_attention(attention: int, sides: list[int]) -> None:
    """ValueError for an attention at a size that no block has, or that cannot be halved."""
    if attention and (attention not in sides or attention % 2):
        possible = sorted({side for side in sides if side % 2 == 0})
        raise ValueError(f"attention at a side of {attention}: possible are {', '.join(map(str, possible))}")
