"""Data as sites: elements, or pixels whose channels are drawn together."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Shape


def at_sites(x: Tensor, together: int) -> Tensor:
    """``[n, C, ...] -> [n, sites, together]``.

    >>> import torch
    >>> at_sites(torch.arange(4).reshape(1, 2, 2), 2).tolist()
    [[[0, 2], [1, 3]]]
    """
    grouped = torch.unflatten(x, 1, (-1, together))  # [n, C / together, together, ...]
    return grouped.movedim(2, -1).flatten(1, -2)  # [n, sites, together]


def from_sites(x: Tensor, shape: Shape) -> Tensor:
    """The inverse of `at_sites`: ``[n, sites, together] -> [n, *shape]``.

    >>> import torch
    >>> from_sites(torch.tensor([[[0, 2], [1, 3]]]), Shape(2, 2)).tolist()
    [[[0, 1], [2, 3]]]
    """
    together = x.shape[-1]
    grouped = torch.unflatten(x, 1, (shape[0] // together, *tuple(shape)[1:]))  # [n, C / together, ..., together]
    return grouped.movedim(-1, 2).flatten(1, 2)  # [n, C, ...]
