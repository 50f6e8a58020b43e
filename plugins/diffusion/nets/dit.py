"""Diffusion transformer."""

from __future__ import annotations

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from zoo import Shape, TakesContext, component

from ...nets.transformer.attention import Attention
from ...nets.transformer.block import Block
from ...nets.transformer.embeddings import Patches, join
from ...nets.transformer.feed_forward import FeedForward
from ...nets.transformer.norms import norm
from ...nets.transformer.positions import coordinates, frequencies, sincos
from ...nets.transformer.trunk import Trunk
from .base import Denoiser, sinusoids, zero

BASIC = 256
"""The sines and cosines of a noise level."""


@component("dit", example={"width": 16, "depth": 1, "heads": 2, "patch": 2})
class DiT(Denoiser, TakesContext):
    r"""Diffusion transformer: blocks on patches, each modulated by the noise level and the context (adaLN-Zero).

    .. math:: e = W_2\, \mathrm{SiLU}(W_1 f(c)) + y, \qquad
       h \leftarrow \mathrm{blocks}(W x_{\mathrm{patch}} + p;\; e), \qquad
       F = W' \bigl(\mathrm{norm}(h) \odot (1 + \sigma(e)) + \beta(e)\bigr)

    with :math:`p` fixed sines and cosines of the places, and :math:`y` a context of ``width`` numbers, or a linear map
    of one of another size. A width of 1152, 28 blocks and 16 heads are DiT-XL: with patches of 2 and a vector for each
    of 1000 classes and for none, 674,834,720 parameters on latents of 4x32x32 that are predicted with their variances.

    ValueError for data that is no image, sides that patches do not divide, and heads that do not divide the width.

    Args:
        width: The channels of a token.
        depth: The number of blocks.
        heads: The heads of attention.
        patch: The side of a patch.
        ratio: The hidden units of a feed-forward network, in widths.
        context: The size of a context that is added to the noise level's vector; 0 for none.

    References: Peebles and Xie, Scalable Diffusion Models with Transformers, 2022, arXiv:2212.09748, sec. 3.

    Shapes: ``[B, C, H, W]`` and levels ``[B]`` to ``[B, C', H, W]``.

    >>> import torch, zoo
    >>> net = DiT(zoo.Shape(1, 8, 8), zoo.Shape(1, 8, 8), width=16, depth=1, heads=2)
    >>> net(torch.ones(2, 1, 8, 8), torch.zeros(2)).shape
    torch.Size([2, 1, 8, 8])
    """

    places: Tensor
    frequencies: Tensor

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        width: PositiveInt = 384,
        depth: PositiveInt = 12,
        heads: PositiveInt = 6,
        patch: PositiveInt = 2,
        ratio: PositiveFloat = 4.0,
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(in_shape, out_shape)
        if len(in_shape) != 3:
            raise ValueError(f"needs images [C, H, W], got {in_shape}: use 'time_mlp'")
        self.context = context
        self.patches = Patches(tuple(in_shape), (patch, patch), width)
        self.register_buffer("places", sincos(coordinates(*self.patches.grid), width), persistent=False)
        self.register_buffer("frequencies", frequencies(BASIC // 2, 10000.0), persistent=False)
        self.level = nn.Sequential(nn.Linear(BASIC, width), nn.SiLU(), nn.Linear(width, width))
        self.given = nn.Linear(context, width, bias=False) if context not in (0, width) else None
        self.trunk = Trunk(
            Block(
                width,
                Attention(width, heads),
                FeedForward(width, round(ratio * width), activation="gelu_tanh"),
                condition=width,
            )
            for _ in range(depth)
        )
        self.norm = norm("layer", width, affine=False)
        self.modulation = zero(nn.Linear(width, 2 * width))
        self.last = zero(nn.Linear(width, out_shape[0] * patch * patch))

    def forward(self, x: Tensor, c: Tensor, context: Tensor | None = None) -> Tensor:
        e = self.level(sinusoids(c, self.frequencies.to(c.dtype), cosine_first=True))  # [B, width]
        if context is not None and self.context:
            e = e + (context if self.given is None else self.given(context))
        h = self.trunk(self.patches(x) + self.places.to(x.dtype), condition=e)  # [B, N, width]
        shift, scale = self.modulation(nn.functional.silu(e)).unsqueeze(1).chunk(2, dim=2)
        y = self.last(torch.addcmul(shift + self.norm(h), self.norm(h), scale))
        return join(y, self.patches.size, self.patches.grid)
