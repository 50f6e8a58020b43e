"""Learned queries that attend to any number of tokens."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .attention import Attention


class LatentQueries(nn.Module):
    """Learned queries that pass through blocks, each of which sees the context.

    With blocks whose ``cross`` is declared it is the Q-Former of BLIP-2, with `ResamplerBlock` the resampler of
    Flamingo.

    Args:
        count: Queries.
        width: Their channels.
        blocks: Modules that are called with queries, context and ``context_mask``.
        norm: Normalisation after the last block, or None.
        std: Initial standard deviation of the queries.

    References: Jaegle et al., Perceiver, 2021, arXiv:2103.03206; Li et al., BLIP-2, 2023, arXiv:2301.12597, sec. 3.1.

    Shapes: ``[B, M, C] -> [B, count, width]``.

    >>> from zoo.plugins.nets.transformer.resampler import ResamplerBlock
    >>> LatentQueries(2, 8, [ResamplerBlock(8, 2)])(torch.zeros(3, 7, 8)).shape
    torch.Size([3, 2, 8])
    """

    def __init__(
        self, count: int, width: int, blocks: Iterable[nn.Module], *, norm: nn.Module | None = None, std: float = 0.02
    ) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(count, width) * std)
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm

    def forward(self, context: Tensor, context_mask: Tensor | None = None) -> Tensor:
        x = self.queries.expand(len(context), -1, -1)  # [B, count, width]
        for block in self.blocks:
            x = block(x, context, context_mask=context_mask)
        return x if self.norm is None else self.norm(x)


class AttentionPool(nn.Module):
    r"""Learned queries that attend to the context once.

    .. math:: y = \mathrm{attention}(\mathrm{norm}(q); \mathrm{norm}(x))

    Args:
        count: Queries; one is a summary of all.
        width: Channels of the queries and of the output.
        context: Channels of the context.
        heads: Heads of attention.

    References: Yu et al., CoCa, 2022, arXiv:2205.01917, sec. 3.2 (256 + 1 queries).

    Shapes: ``[B, M, context] -> [B, count, width]``.

    >>> AttentionPool(1, 8, context=6, heads=2)(torch.zeros(3, 7, 6)).shape
    torch.Size([3, 1, 8])
    """

    def __init__(self, count: int, width: int, *, context: int, heads: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(count, width))
        self.norm, self.norm_context = nn.LayerNorm(width, eps=eps), nn.LayerNorm(context, eps=eps)
        self.attention = Attention(width, heads, context=context)

    def forward(self, context: Tensor, context_mask: Tensor | None = None) -> Tensor:
        q = self.norm(self.queries).expand(len(context), -1, -1)  # [B, count, width]
        y: Tensor = self.attention(q, self.norm_context(context), mask=context_mask)
        return y
