"""Relative position biases of attention scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from operator import mul

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from .positions import coordinates


class RelativeBias(nn.Module):
    r"""Relative position bias: a number for each head and each distance on a grid, :math:`m_{ij} = t[p_i - p_j]`.

    Args:
        grid: The sizes of the grid, or of a window.
        heads: Heads of the attention.
        ahead: Tokens before those of the grid, such as a class token, with one number where they are queries, one where
            they are keys, and one where they are both.

    References: Liu et al., Swin Transformer, 2021, arXiv:2103.14030, eq. 4; Bao et al., BEiT, 2021, arXiv:2106.08254
    (class token).

    Shapes: ``[H, N, N]``, N the cells of the grid and the tokens ahead.

    >>> bias = RelativeBias((2, 3), heads=4)
    >>> tuple(bias.table.shape), bias().shape
    ((15, 4), torch.Size([4, 6, 6]))
    """

    index: Tensor

    def __init__(self, grid: Sequence[int], heads: int, *, ahead: int = 0) -> None:
        super().__init__()
        index = _distances(grid)
        count = int(index.max()) + 1
        if ahead:
            index = pad(index, (ahead, 0, ahead, 0))
            index[:ahead], index[:, :ahead], index[:ahead, :ahead] = count, count + 1, count + 2
            count += 3
        self.table = nn.Parameter(torch.zeros(count, heads))
        self.register_buffer("index", index, persistent=False)

    def forward(self, q: Tensor | None = None, k: Tensor | None = None) -> Tensor:
        return self.table[self.index].permute(2, 0, 1)  # [H, N, N]


class BucketBias(nn.Module):
    r"""Relative position bias of T5: a number for each head and each bucket of distances, :math:`m_{ij} = t[b(j - i)]`.

    Half of the buckets are for single distances, the others grow as their logarithm up to ``furthest``, the last one
    for all beyond. Queries are the last of the keys.

    Args:
        heads: Heads of the attention.
        buckets: Numbers of a head.
        furthest: The distance from which on all have the same bucket.
        both_ways: Whether half of the buckets are for keys after the query; else those have the bucket of the query.

    References: Raffel et al., Exploring the Limits of Transfer Learning (T5), 2019, arXiv:1910.10683, sec. 2.1.

    Shapes: q ``[B, H, N, D]``, k ``[B, H, M, D]`` to ``[H, N, M]``.

    >>> bias = BucketBias(2, buckets=8, furthest=16)
    >>> bias(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 5, 4)).shape
    torch.Size([2, 3, 5])
    """

    def __init__(self, heads: int, *, buckets: int = 32, furthest: int = 128, both_ways: bool = True) -> None:
        super().__init__()
        self.buckets, self.furthest, self.both_ways = buckets, furthest, both_ways
        self.table = nn.Parameter(torch.randn(buckets, heads) * 0.02)

    def forward(self, q: Tensor, k: Tensor) -> Tensor:
        N, M = q.shape[2], k.shape[2]
        keys = torch.arange(M, device=q.device)
        ahead = keys - keys[M - N :].unsqueeze(1)  # [N, M]
        return self.table[self._bucket(ahead)].permute(2, 0, 1)  # [H, N, M]

    def _bucket(self, ahead: Tensor) -> Tensor:
        buckets = self.buckets // 2 if self.both_ways else self.buckets
        first = (ahead > 0) * buckets if self.both_ways else 0
        far = ahead.abs() if self.both_ways else ahead.clamp(max=0).neg()
        single = buckets // 2
        share = torch.log(far.clamp(min=1).float() / single) / math.log(self.furthest / single)
        log = (single + (share * (buckets - single)).long()).clamp(max=buckets - 1)
        return first + torch.where(far < single, far, log)


class DecomposedBias(nn.Module):
    r"""Decomposed relative position bias: the product of a query with a vector for each distance along each axis.

    .. math:: m_{ij} = \sum_a q_i \cdot t_a[p_{ia} - p_{ja}]

    Args:
        grid: The sizes of the grid, or of a window.
        size: Channels of a head.

    References: Li et al., MViTv2, 2021, arXiv:2112.01526, eq. 3-4, as in Kirillov et al., Segment Anything, 2023,
    arXiv:2304.02643.

    Shapes: q ``[B, H, N, D]`` to ``[B, H, N, N]``.

    >>> DecomposedBias((2, 3), 4)(torch.zeros(1, 2, 6, 4)).shape
    torch.Size([1, 2, 6, 6])
    """

    def __init__(self, grid: Sequence[int], size: int) -> None:
        super().__init__()
        self.grid = tuple(grid)
        self.tables = nn.ParameterList(torch.zeros(2 * length - 1, size) for length in grid)

    def forward(self, q: Tensor, k: Tensor | None = None) -> Tensor:
        axes = len(self.grid)
        at = torch.unflatten(q, 2, self.grid)  # [B, H, *grid, D]
        total: Tensor | None = None
        for axis, (length, table) in enumerate(zip(self.grid, self.tables, strict=True)):
            i = torch.arange(length, device=q.device)
            vectors = table[i.unsqueeze(1) - i + length - 1]  # [n, n, D]
            scores = torch.einsum("...id,ijd->...ij", at.movedim(2 + axis, -2), vectors).movedim(-2, 2 + axis)
            keys = [1] * axes
            keys[axis] = length
            scores = torch.unflatten(scores, -1, keys)  # [B, H, *grid, 1, .., n, .., 1]
            total = scores if total is None else total + scores
        return total.flatten(2 + axes).flatten(2, 1 + axes)  # type: ignore[union-attr]


def _distances(grid: Sequence[int]) -> Tensor:
    """The index of each pair's distance among all distances of a grid, ``[N, N]``."""
    at = coordinates(*grid, device=torch.device("cpu"))
    apart = at.unsqueeze(1) - at + torch.tensor(grid, device="cpu") - 1  # [N, N, axes], from zero
    spans = [2 * size - 1 for size in grid]
    strides = list(accumulate(reversed(spans[1:]), mul, initial=1))[::-1]
    return (apart * torch.tensor(strides, device="cpu")).sum(-1)
