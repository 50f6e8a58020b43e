"""Attention masks: which keys each query may attend to."""

from __future__ import annotations

import torch
from torch import Tensor


def joined(*masks: Tensor | None) -> Tensor | None:
    """All masks combined: a key is attended to if every mask allows it, and float masks are added to the scores.

    Shapes: booleans (True: may attend) or floats that broadcast to ``[B, H, N, M]``; None means without a mask.

    >>> joined(torch.tensor([True, False]), torch.tensor([1.0, 2.0]), None)
    tensor([1., -inf])
    """
    result: Tensor | None = None
    for mask in masks:
        if result is None or mask is None:
            result = mask if result is None else result
        elif result.dtype == mask.dtype == torch.bool:
            result = result & mask
        elif torch.bool in (result.dtype, mask.dtype):
            allowed, bias = (result, mask) if result.dtype == torch.bool else (mask, result)
            result = torch.where(allowed, bias, -torch.inf)
        else:
            result = result + mask
    return result


def causal(queries: int, keys: int, device: torch.device | None = None) -> Tensor:
    """Causal mask: each query attends to the keys up to its own; the queries are the last of the keys. ``[N, M]``,
    bool.

    >>> causal(2, 3).int()
    tensor([[1, 1, 0],
            [1, 1, 1]], dtype=torch.int32)
    """
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


def padding(real: Tensor) -> Tensor:
    """Padding mask: ``[B, M]``, True where a token is real, to ``[B, 1, 1, M]``.

    >>> padding(torch.tensor([[True, True, False]])).shape
    torch.Size([1, 1, 1, 3])
    """
    return real[:, None, None, :]


def blocks(queries: Tensor, keys: Tensor | None = None) -> Tensor:
    """Block mask: a query attends to the keys with its own number, ``[B, N]`` and ``[B, M]`` to ``[B, 1, N, M]``.

    Numbers of documents separate packed documents. If a word has the number of the latest image before it, and a patch
    that of its image, words see only the latest image (Flamingo).

    >>> blocks(torch.tensor([[0, 0, 1]])).int()[0, 0]
    tensor([[1, 1, 0],
            [1, 1, 0],
            [0, 0, 1]], dtype=torch.int32)
    """
    keys = queries if keys is None else keys
    return (queries.unsqueeze(2) == keys.unsqueeze(1)).unsqueeze(1)


def band(queries: int, keys: int, width: int, device: torch.device | None = None) -> Tensor:
    """Band mask: each query attends to keys at a distance below ``width``; with `causal` a sliding window. ``[N, M]``,
    bool.

    >>> band(3, 3, 2).int()
    tensor([[1, 1, 0],
            [1, 1, 1],
            [0, 1, 1]], dtype=torch.int32)
    """
    every = torch.ones(queries, keys, dtype=torch.bool, device=device)
    return every.tril(keys - queries + width - 1).triu(keys - queries - width + 1)
