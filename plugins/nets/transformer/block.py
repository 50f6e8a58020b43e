"""Transformer block."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from .attention import Attention
from .kv_cache import BlockCache
from .norms import DropPath, LayerScale, Modulation, Norm, TanhGate, norm
from .positions import Rotation


class Block(nn.Module):
    r"""Transformer block: attention and a feed-forward network, each added to its input.

    .. math::
        \text{pre:}\quad x \leftarrow x + \gamma_1 \odot \mathrm{attention}(\mathrm{norm}_1(x)), \qquad
        x \leftarrow x + \gamma_2 \odot \mathrm{feed\_forward}(\mathrm{norm}_2(x))

    .. math::
        \text{post:}\quad x \leftarrow \mathrm{norm}_1(x + \gamma_1 \odot \mathrm{attention}(x)), \qquad
        x \leftarrow \mathrm{norm}_2(x + \gamma_2 \odot \mathrm{feed\_forward}(x))

    with attention to a context between the two if ``cross`` is given. With a ``condition`` the norms have no weights,
    :math:`\mathrm{norm}(x)` becomes :math:`\mathrm{norm}(x) \odot (1 + \sigma) + \beta`, and the output of each part is
    multiplied by :math:`g`, all linear in that vector (`Modulation`); ``cross`` is not modulated.

    Args:
        width: Channels of a token.
        attention: Attention of the tokens to each other, `Attention` or `Windows`; None for none.
        feed_forward: The network of each token.
        cross: Attention to a context.
        order: Whether normalisation comes before a part, or after its sum.
        norm_type: Normalisation, ``layer`` or ``rms``.
        eps: Number added to the variance.
        scale: The initial factor for each channel (`LayerScale`), ``tanh`` for a gate (`TanhGate`), or None.
        condition: Numbers of a vector that modulates the block.
        drop_path: Probability with which training skips a part for an example.
        dropout: Probability with which training drops numbers of a part's output.

    References: Vaswani et al., Attention Is All You Need, 2017, arXiv:1706.03762, sec. 3.1 (post); Radford et al.,
    Language Models are Unsupervised Multitask Learners, 2019, sec. 2.3 (pre).

    Shapes: ``[B, N, width]``, unchanged; a context ``[B, M, C]``, a condition ``[B, condition]``.

    >>> from zoo.plugins.nets.transformer.feed_forward import FeedForward
    >>> block = Block(8, Attention(8, 2), FeedForward(8, 32), cross=Attention(8, 2, context=5))
    >>> block(torch.zeros(1, 3, 8), torch.zeros(1, 7, 5)).shape
    torch.Size([1, 3, 8])
    """

    def __init__(
        self,
        width: int,
        attention: nn.Module | None,
        feed_forward: nn.Module,
        *,
        cross: Attention | None = None,
        order: Literal["pre", "post"] = "pre",
        norm_type: Norm = "layer",
        eps: float = 1e-6,
        scale: float | Literal["tanh"] | None = None,
        condition: int | None = None,
        drop_path: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        plain = partial(norm, norm_type, width, eps)
        around = partial(norm, norm_type, width, eps, affine=condition is None)
        self.pre = order == "pre"
        self.norm1 = None if attention is None else around()
        self.attention = attention
        self.scale1 = None if attention is None else _scale(scale, width)
        self.norm_cross = None if cross is None else plain()
        self.cross = cross
        self.scale_cross = None if cross is None else _scale(scale, width)
        self.norm2, self.feed_forward, self.scale2 = around(), feed_forward, _scale(scale, width)
        self.modulation = None if condition is None else Modulation(condition, width)
        self.drop = nn.Sequential(nn.Dropout(dropout), DropPath(drop_path)) if dropout or drop_path else None

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        context_mask: Tensor | None = None,
        turn: Rotation | None = None,
        condition: Tensor | None = None,
        cache: BlockCache | None = None,
    ) -> Tensor:
        """The tokens after this block.

        Args:
            x: Tokens ``[B, N, width]``.
            context: ``[B, M, C]`` for ``cross``; None where the cache has it already.
            mask: Which tokens see which, as in `attend`.
            context_mask: Which tokens of the context they see.
            turn: Rotation of queries and keys by the positions of the tokens.
            condition: The vector that modulates the block, ``[B, condition]``.
            cache: Keys and values of the tokens before, and of the context.
        """
        own, other = cache or BlockCache()
        first, second = (None, None) if self.modulation is None else self.modulation(condition)
        if self.attention is not None:
            x = self._add(x, partial(self.attention, mask=mask, turn=turn, cache=own), self.norm1, self.scale1, first)
        if self.cross is not None:
            gather = partial(self.cross, context=context, mask=context_mask, cache=other)
            x = self._add(x, gather, self.norm_cross, self.scale_cross)
        return self._add(x, self.feed_forward, self.norm2, self.scale2, second)

    def cache(self, n: int, length: int, context: int = 0) -> BlockCache:
        """An empty cache for ``n`` examples of up to ``length`` tokens, and contexts of up to ``context``."""
        own = self.attention.cache(n, length) if isinstance(self.attention, Attention) else None
        return BlockCache(own, None if self.cross is None else self.cross.cache(n, context))

    def _add(
        self,
        x: Tensor,
        part: Callable[[Tensor], Tensor],
        norm: nn.Module | None,
        scale: nn.Module | None,
        modulation: tuple[Tensor, ...] | None = None,
    ) -> Tensor:
        """Add the output of a part of the block to x."""
        h: Tensor = norm(x) if self.pre and norm is not None else x
        if modulation is not None:
            shift, factor, gate = modulation
            y = gate * part(torch.addcmul(h + shift, h, factor))
        else:
            y = part(h)
        y = y if scale is None else scale(y)
        y = x + (y if self.drop is None else self.drop(y))
        return y if self.pre or norm is None else norm(y)


def _scale(scale: float | Literal["tanh"] | None, width: int) -> nn.Module | None:
    if scale is None:
        return None
    return TanhGate() if scale == "tanh" else LayerScale(width, float(scale))
