"""Key-value cache for generation token by token."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class KVCache:
    """Keys and values of up to ``length`` tokens, in memory that is allocated once.

    A pass of new tokens attends to those in the cache and to themselves, and is added to it. Set ``used`` back to
    discard the last tokens: they are overwritten. No gradient flows through the cache.

    Args:
        n: Examples.
        heads: Heads of keys and values.
        length: The largest number of tokens.
        size: Numbers of a head.
        like: a tensor whose dtype and device it takes.

    >>> import torch
    >>> cache = KVCache(1, 2, 8, 4, like=torch.zeros(()))
    >>> k, v = cache.append(torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 4))
    >>> k.shape, cache.used
    (torch.Size([1, 2, 3, 4]), 3)
    """

    def __init__(self, n: int, heads: int, length: int, size: int, *, like: Tensor) -> None:
        self.keys, self.values = like.new_zeros(2, n, heads, length, size).unbind(0)
        self.used = 0

    @property
    def length(self) -> int:
        """The largest number of tokens that it can hold."""
        return self.keys.shape[2]

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values so far, ``[B, H, used, D]``, with those of new tokens ``[B, H, N, D]`` at the end.

        ValueError for more tokens than there is memory for.
        """
        start, end = self.used, self.used + k.shape[2]
        if end > self.length:
            raise ValueError(f"the cache has memory for {self.length} tokens, got {end}")
        self.keys.narrow(2, start, end - start).copy_(k.detach())
        self.values.narrow(2, start, end - start).copy_(v.detach())
        self.used = end
        return self.held()

    def held(self) -> tuple[Tensor, Tensor]:
        """Keys and values of the tokens so far, ``[B, H, used, D]``."""
        return self.keys.narrow(2, 0, self.used), self.values.narrow(2, 0, self.used)


class BlockCache(NamedTuple):
    """Caches of a block: one of its tokens, and one of the context, which is computed once."""

    own: KVCache | None = None
    context: KVCache | None = None
