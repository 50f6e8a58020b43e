"""Perceiver resampler: a fixed number of tokens for images and clips of any size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from .attention import Attention
from .feed_forward import FeedForward, Hidden
from .latent_queries import LatentQueries
from .norms import Norm


class ResamplerBlock(nn.Module):
    r"""Block of the Perceiver resampler: queries attend to the context and to themselves, followed by a feed-forward
    network.

    .. math:: z \leftarrow z + \mathrm{attention}(\mathrm{norm}(z); [\mathrm{norm}(x), \mathrm{norm}(z)]), \qquad
       z \leftarrow z + \mathrm{feed\_forward}(\mathrm{norm}(z))

    Args:
        width: Channels of queries and context.
        heads: Heads of attention.
        head_size: Channels of a head.
        hidden: Channels within the network, as a multiple of the width.
        activation: Its nonlinearity.
        qk_norm: Normalisation of queries and keys.

    References: Alayrac et al., Flamingo, 2022, arXiv:2204.14198, app. A.1.1 and fig. 5.

    Shapes: ``[B, N, width]`` and ``[B, M, width]`` to ``[B, N, width]``.
    """

    def __init__(
        self,
        width: int,
        heads: int = 8,
        *,
        head_size: int = 64,
        hidden: int = 4,
        activation: Hidden = "gelu",
        qk_norm: Norm | None = None,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.norm_context = nn.LayerNorm(width, eps=eps)
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attention = Attention(
            width, heads, head_size=head_size, context=width, bias=False, qk_norm=qk_norm, eps=eps
        )
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.feed_forward = FeedForward(width, hidden * width, activation=activation, bias=False)

    def forward(self, z: Tensor, x: Tensor, context_mask: Tensor | None = None) -> Tensor:
        if context_mask is not None:  # of the context alone; the queries see themselves
            context_mask = pad(context_mask, (0, z.shape[1]), value=True)
        h = self.norm1(z)
        z = z + self.attention(h, torch.cat([self.norm_context(x), h], 1), mask=context_mask)  # N queries, M + N keys
        y: Tensor = z + self.feed_forward(self.norm2(z))
        return y


class Resampler(LatentQueries):
    """Perceiver resampler of Flamingo: from any number of frames of patches to ``count`` tokens.

    Args:
        width: Channels of tokens and queries.
        count: Queries.
        depth: Blocks.
        heads: Heads of attention.
        head_size: Channels of a head.
        hidden: Channels within the network, as a multiple of the width.
        frames: The largest number of frames, each with a learned vector that is added to its patches; 0 for no vectors.

    References: Alayrac et al., Flamingo, 2022, arXiv:2204.14198, app. A.1.1 and fig. 5.

    Shapes: ``[B, T, M, width] -> [B, count, width]``; ValueError for more frames than there are vectors.

    >>> Resampler(8, count=2, depth=1, heads=2, head_size=4, frames=4)(torch.zeros(1, 3, 5, 8)).shape
    torch.Size([1, 2, 8])
    """

    def __init__(
        self,
        width: int,
        *,
        count: int = 64,
        depth: int = 6,
        heads: int = 8,
        head_size: int = 64,
        hidden: int = 4,
        frames: int = 0,
    ) -> None:
        blocks = [ResamplerBlock(width, heads, head_size=head_size, hidden=hidden) for _ in range(depth)]
        super().__init__(count, width, blocks, norm=nn.LayerNorm(width), std=1.0)
        self.frames = nn.Parameter(torch.randn(frames, 1, width)) if frames else None

    def forward(self, context: Tensor, context_mask: Tensor | None = None) -> Tensor:
        if self.frames is not None:
            if context.shape[1] > len(self.frames):
                raise ValueError(f"has vectors for {len(self.frames)} frames, got {context.shape[1]}")
            context = context + self.frames[: context.shape[1]]
        return super().forward(context.flatten(1, 2), context_mask)  # [B, T * M, width]
