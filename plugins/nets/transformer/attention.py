"""Multi-head attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .attend import attend, attention_weights
from .feed_forward import MakeLinear
from .kv_cache import KVCache
from .masks import joined
from .norms import Norm, norm
from .positions import Rotation


class Attention(nn.Module):
    r"""Multi-head attention, of tokens to each other or to a context.

    .. math:: q_i = W_q x_i, \quad (k_j, v_j) = W_{kv} c_j, \qquad y_i = W_o\, \mathrm{attend}(q_i, k, v)

    with :math:`c = x` unless a ``context`` is declared. The heads split the channels of q, k and v. Queries and keys
    are normalised, then rotated (`Rotary`); ``relative`` adds to their scores.

    Args:
        width: Channels of a token.
        heads: Heads of queries.
        kv_heads: Heads of keys and values, a divisor of ``heads``; by default as many.
        head_size: Channels of a head; by default ``width / heads``.
        context: Channels of a token of the context; None where tokens attend to each other.
        causal: Whether tokens see only those up to their own.
        bias: Whether q, k and v have a bias.
        out_bias: Whether the output has one; by default as ``bias``.
        output: Whether there is a :math:`W_o`; without it the output is the channels of all heads.
        qk_norm: Normalisation of the queries and keys of each head.
        eps: Number added to the variance in that normalisation.
        scale: Factor of the scores; by default one over the square root of ``head_size``.
        relative: Module ``(q, k) -> [H, N, M]`` or ``[B, H, N, M]`` that is added to the scores.
        dropout: Probability with which training drops a weight.
        linear: Constructor of a linear map.

    References: Vaswani et al., Attention Is All You Need, 2017, arXiv:1706.03762, sec. 3.2; Dehghani et al., Scaling
    Vision Transformers to 22 Billion Parameters, 2023, arXiv:2302.05442, sec. 2 (normalised queries and keys).

    Shapes: ``[B, N, width]``, unchanged; ValueError for heads that do not divide the width, or each other.

    >>> Attention(8, 2)(torch.zeros(1, 3, 8)).shape
    torch.Size([1, 3, 8])
    >>> Attention(8, 2, context=5)(torch.zeros(1, 3, 8), torch.zeros(1, 7, 5)).shape
    torch.Size([1, 3, 8])
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        kv_heads: int | None = None,
        head_size: int | None = None,
        context: int | None = None,
        causal: bool = False,
        bias: bool = True,
        out_bias: bool | None = None,
        output: bool = True,
        qk_norm: Norm | None = None,
        eps: float = 1e-6,
        scale: float | None = None,
        relative: nn.Module | None = None,
        dropout: float = 0.0,
        linear: MakeLinear = nn.Linear,
    ) -> None:
        super().__init__()
        kv_heads = heads if kv_heads is None else kv_heads
        if head_size is None and width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}")
        if heads % kv_heads:
            raise ValueError(f"{kv_heads} heads of keys do not divide {heads} heads of queries")
        self.heads, self.kv_heads = heads, kv_heads
        self.head_size = width // heads if head_size is None else head_size
        self.sizes = heads * self.head_size, kv_heads * self.head_size, kv_heads * self.head_size
        self.causal, self.scale, self.dropout = causal, scale, dropout
        self.context = context
        if context is None:
            self.qkv = linear(width, sum(self.sizes), bias)
        else:
            self.q = linear(width, self.sizes[0], bias)
            self.kv = linear(context, sum(self.sizes[1:]), bias)
        self.q_norm = None if qk_norm is None else norm(qk_norm, self.head_size, eps)
        self.k_norm = None if qk_norm is None else norm(qk_norm, self.head_size, eps)
        self.relative = relative
        self.out = linear(self.sizes[0], width, bias if out_bias is None else out_bias) if output else nn.Identity()

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        turn: Rotation | None = None,
        turn_context: Rotation | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        """Attention of each token.

        Args:
            x: Tokens ``[B, N, width]``.
            context: Tokens ``[B, M, context]``; None where tokens attend to each other, or the cache has it already.
            mask: Mask, as in `attend`.
            turn: The rotation of queries, and of keys of the same tokens.
            turn_context: The rotation of the context's keys.
            cache: Keys and values of the tokens before, to which those of x are added; or those of the context.
        """
        q, k, v = self._heads(x, context, turn, turn_context, cache)
        mask = self._mask(q, k, mask)
        dropout = self.dropout if self.training else 0.0
        y = attend(q, k, v, mask, causal=self.causal, scale=self.scale, dropout=dropout)  # [B, H, N, D]
        gathered: Tensor = self.out(y.transpose(1, 2).flatten(2))  # [B, N, H D] -> [B, N, width]
        return gathered

    def weights(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        turn: Rotation | None = None,
        turn_context: Rotation | None = None,
    ) -> Tensor:
        """The attention weights of each token to each, ``[B, H, N, M]``: for pictures."""
        q, k, _ = self._heads(x, context, turn, turn_context, None)
        return attention_weights(q, k, self._mask(q, k, mask), causal=self.causal, scale=self.scale)

    def cache(self, n: int, length: int) -> KVCache:
        """An empty cache for ``n`` examples of up to ``length`` tokens."""
        weight = next(self.parameters())
        return KVCache(n, self.kv_heads, length, self.head_size, like=weight)

    def _heads(
        self,
        x: Tensor,
        context: Tensor | None,
        turn: Rotation | None,
        turn_context: Rotation | None,
        cache: KVCache | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values ``[B, H, N, D]``, including those of the cache."""
        if self.context is None:
            q, k, v = (self._split(part) for part in self.qkv(x).split_with_sizes(self.sizes, -1))
            q, k = self._turned(q, self.q_norm, turn), self._turned(k, self.k_norm, turn)
            return (q, k, v) if cache is None else (q, *cache.append(k, v))
        q = self._turned(self._split(self.q(x)), self.q_norm, turn)
        if context is None:
            if cache is None or not cache.used:
                raise ValueError("attends to a context: got none")
            return q, *cache.held()
        k, v = (self._split(part) for part in self.kv(context).split_with_sizes(self.sizes[1:], -1))
        k = self._turned(k, self.k_norm, turn_context)
        return (q, k, v) if cache is None else (q, *cache.append(k, v))

    def _split(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, -1, (-1, self.head_size)).transpose(1, 2)  # [B, N, H D] -> [B, H, N, D]

    @staticmethod
    def _turned(x: Tensor, norm: nn.Module | None, turn: Rotation | None) -> Tensor:
        x = x if norm is None else norm(x)
        return x if turn is None else turn(x)

    def _mask(self, q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor | None:
        return mask if self.relative is None else joined(mask, self.relative(q, k))
