"""Causal attention over the places of an image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...nets.transformer.attend import attend
from ...nets.transformer.attention import Attention
from .conv1x1 import PointwiseStepper, TokenConv
from .layer import through


class CausalAttention(nn.Module):
    r"""Causal attention of each place to itself and the places before it, in raster order.

    .. math:: (q, k, v)_i = W x_i, \qquad y_i = \sum_{j \le i} a_{ij} v_j, \qquad
       a_{ij} \propto \exp(q_i \cdot k_j / \sqrt{d})

    for each of the ``heads``, which split the channels of q, k and v into as many parts of d. Features do not depend on
    their own pixel, so that a place may attend to itself; the first place attends only to itself.

    References: Vaswani et al., Attention Is All You Need, 2017, arXiv:1706.03762, eq. 1.

    Shapes: ``[B, before, H, W] -> [B, width, H, W]``; ValueError for a width that the heads do not divide.

    >>> CausalAttention(3, 4, heads=2)(torch.zeros(5, 3, 2, 2)).shape
    torch.Size([5, 4, 2, 2])
    """

    def __init__(self, before: int, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}")
        attention = Attention(before, heads, head_size=width // heads, causal=True, output=False, linear=TokenConv)
        # In a tuple it adds no names to those of the tensors, which share files have: `into.conv.weight`.
        self.of_tokens = (attention,)
        self.heads = heads
        self.into = attention.qkv

    def forward(self, x: Tensor) -> Tensor:
        return as_image(self.of_tokens[0](as_tokens(x)), x)

    def stepper(self, n: int, places: int) -> AttentionStepper:
        """Incremental evaluation on ``n`` images."""
        return AttentionStepper(self.of_tokens[0], n, places)


class AttentionStepper:
    """Incremental attention on ``n`` images: keys and values of the places so far.

    It computes the same as `Attention` with a cache, with fewer calls, which take most of the time of a single place.
    """

    def __init__(self, attention: Attention, n: int, places: int) -> None:
        self.into = PointwiseStepper(attention.qkv)  # type: ignore[arg-type]
        self.heads = attention.heads
        self.cache = attention.cache(n, places)

    def step(self, place: int, x: Tensor) -> Tensor:
        """The attention of a place, ``[n, width]``, from its features, ``[n, before]``."""
        q, k, v = torch.unflatten(self.into(x), 1, (3, self.heads, 1, -1)).unbind(1)  # [n, heads, 1, d]
        self.cache.used = place
        return attend(q, *self.cache.append(k, v)).flatten(1)  # [n, width]


def as_tokens(x: Tensor) -> Tensor:
    """``[B, C, H, W] -> [B, HW, C]``, a token for each place."""
    return x.flatten(2).transpose(1, 2)


def as_image(x: Tensor, like: Tensor) -> Tensor:
    """``[B, HW, C] -> [B, C, H, W]``, with the height and width of another image."""
    return torch.unflatten(x.transpose(1, 2), 2, like.shape[2:])


def reached(seen: Tensor) -> Tensor:
    """The dependencies of attention, from those of its input: all of the places up to its own.

    >>> reached(torch.eye(3).bool()).int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [1, 1, 1]], dtype=torch.int32)
    """
    return through(torch.ones_like(seen[:, : seen.shape[0]]).tril(), seen)
