"""Attention over the places up to each."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from .pointwise import Pointwise, PointwiseStepper
from .streams import through


class CausalAttention(nn.Module):
    r"""Attention of each place to itself and the places before it, in raster order.

    .. math:: (q, k, v)_i = W x_i, \qquad y_i = \sum_{j \le i} a_{ij} v_j, \qquad
       a_{ij} \propto \exp(q_i \cdot k_j / \sqrt{d})

    for each of the ``heads``, which split the channels of q, k and v into as many parts of d. Features know nothing of
    their own pixel, so that a place may attend to itself; the first one attends to nothing else.

    References: Vaswani et al., Attention Is All You Need, 2017, arXiv:1706.03762, eq. 1.

    Shapes: ``[B, before, H, W] -> [B, width, H, W]``; ValueError for a width that the heads do not divide.

    >>> CausalAttention(3, 4, heads=2)(torch.zeros(5, 3, 2, 2)).shape
    torch.Size([5, 4, 2, 2])
    """

    def __init__(self, before: int, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}")
        self.heads = heads
        self.into = Pointwise(before, 3 * width)

    def forward(self, x: Tensor) -> Tensor:
        parts = torch.unflatten(self.into(x).flatten(2), 1, (3, self.heads, -1))
        q, k, v = parts.transpose(-1, -2).unbind(1)  # [B, heads, HW, d]
        y = scaled_dot_product_attention(q, k, v, is_causal=True)
        return torch.unflatten(y.transpose(-1, -2).flatten(1, 2), 2, x.shape[2:])

    def stepper(self, n: int, places: int) -> AttentionStepper:
        """It on its way through ``n`` images."""
        return AttentionStepper(self, n, places)


class AttentionStepper:
    """Attention on its way through ``n`` images: keys and values of the places so far."""

    def __init__(self, attention: CausalAttention, n: int, places: int) -> None:
        self.into = PointwiseStepper(attention.into)
        self.width = self.into.taps.shape[1] // 3
        self.heads = attention.heads
        kept = self.into.taps.new_zeros(2, n, self.heads, places, self.width // self.heads)
        self.keys, self.values = kept.unbind(0)
        self.cells = kept.unbind(3)

    def step(self, place: int, x: Tensor) -> Tensor:
        """What the place gathers, ``[n, width]``, from what is there, ``[n, before]``."""
        q, k, v = torch.unflatten(self.into(x), 1, (3, self.heads, -1)).unbind(1)
        self.cells[place][0].copy_(k)
        self.cells[place][1].copy_(v)
        so_far = self.keys[:, :, : place + 1], self.values[:, :, : place + 1]
        return scaled_dot_product_attention(q.unsqueeze(2), *so_far).flatten(1)


def reached(seen: Tensor) -> Tensor:
    """What attention reaches, from what its input sees: all that any place up to its own does.

    >>> reached(torch.eye(3).bool()).int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [1, 1, 1]], dtype=torch.int32)
    """
    return through(torch.ones_like(seen[:, : seen.shape[0]]).tril(), seen)
