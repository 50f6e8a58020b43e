"""Stack of transformer blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from .block import Block
from .kv_cache import BlockCache
from .positions import Rotation


class Trunk(nn.Module):
    """Stack of transformer blocks, with an optional normalisation of the output.

    Args:
        blocks: The blocks.
        norm: Normalisation after the last block, or None.

    Shapes: ``[B, N, width]``, unchanged.

    >>> import torch
    >>> from zoo.plugins.nets.transformer.attention import Attention
    >>> from zoo.plugins.nets.transformer.feed_forward import FeedForward
    >>> trunk = Trunk(Block(8, Attention(8, 2), FeedForward(8, 32)) for _ in range(3))
    >>> trunk(torch.zeros(1, 5, 8)).shape
    torch.Size([1, 5, 8])
    """

    def __init__(self, blocks: Iterable[Block], norm: nn.Module | None = None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        context_mask: Tensor | None = None,
        turn: Rotation | None = None,
        condition: Tensor | None = None,
        caches: Sequence[BlockCache] | None = None,
    ) -> Tensor:
        """The tokens after the last block; the arguments are those of `Block`, with a cache for each block."""
        for i, block in enumerate(self.blocks):
            x = block(
                x,
                context,
                mask=mask,
                context_mask=context_mask,
                turn=turn,
                condition=condition,
                cache=None if caches is None else caches[i],
            )
        return x if self.norm is None else self.norm(x)

    def caches(self, n: int, length: int, context: int = 0) -> list[BlockCache]:
        """An empty cache for each block: ``n`` examples of up to ``length`` tokens, and their contexts."""
        return [block.cache(n, length, context) for block in self.blocks if isinstance(block, Block)]


def increasing(most: float, depth: int) -> list[float]:
    """Probabilities of stochastic depth that increase linearly from zero at the first of ``depth`` blocks.

    >>> increasing(0.2, 3)
    [0.0, 0.1, 0.2]
    """
    return [most * i / max(depth - 1, 1) for i in range(depth)]
