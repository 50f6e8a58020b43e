"""Positions of tokens: fixed and learned vectors, and rotations of queries and keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate


def coordinates(*sizes: int, device: torch.device | None = None) -> Tensor:
    """The coordinates of all cells of a grid in raster order: ``[N, axes]``.

    >>> coordinates(2, 2).tolist()
    [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    axes = [torch.arange(size, device=device) for size in sizes]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)


def frequencies(count: int, base: float, device: torch.device | None = None) -> Tensor:
    r""":math:`b^{-i / n}` for ``count`` n, in float32.

    >>> frequencies(2, 100.0)
    tensor([1.0000, 0.1000])
    """
    return 1.0 / base ** (torch.arange(count, dtype=torch.float32, device=device) / count)


def sincos(at: Tensor, width: int, *, base: float = 10000.0, interleaved: bool = False) -> Tensor:
    r"""Sines and cosines of coordinates, as vectors to add to tokens.

    .. math:: e(p)_i = \sin(b^{-i/n} p), \qquad e(p)_{n+i} = \cos(b^{-i/n} p)

    of each axis, with ``width / (2 axes)`` n; the axes follow each other, the last one first, as in MAE and DiT.

    Args:
        at: Coordinates ``[..., axes]``, such as those of patches (`coordinates`).
        width: Channels, a multiple of twice the axes.
        base: The base b of the frequencies, ``10000`` in the papers.
        interleaved: Whether each sine stands before its cosine, as in the Transformer and VideoMAE.

    References: Vaswani et al., Attention Is All You Need, 2017, arXiv:1706.03762, sec. 3.5; He et al., Masked
    Autoencoders, 2021, arXiv:2111.06377, app. A.1.

    Shapes: ``[..., width]``, float32; ValueError for a width that cannot be divided into pairs for each axis.

    >>> sincos(coordinates(1, 2), 4)[:, :2]
    tensor([[0.0000, 1.0000],
            [0.8415, 0.5403]])
    """
    axes = at.shape[-1]
    if width % (2 * axes):
        raise ValueError(f"a width of {width} must be a multiple of {2 * axes}: sines and cosines of {axes} axes")
    angles = at.float().flip(-1).unsqueeze(-1) * frequencies(width // (2 * axes), base, at.device)  # [..., axes, n]
    both = torch.stack([angles.sin(), angles.cos()], -1 if interleaved else -2)
    return both.flatten(-3)  # [..., width]


def axial(*tables: Tensor) -> Tensor:
    """A vector for each cell of a grid, as the sum of one for each axis: ``[n_1, C], ... -> [n_1, ..., C]``.

    >>> axial(torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [10.0]])).squeeze(2)
    tensor([[ 1., 11.],
            [ 2., 12.]])
    """
    total = tables[0]
    for table in tables[1:]:
        total = total.unsqueeze(-2) + table
    return total


def resampled(
    table: Tensor,
    grid: Sequence[int],
    to: Sequence[int],
    *,
    mode: Literal["bicubic", "bilinear"] = "bicubic",
    antialias: bool = False,
) -> Tensor:
    """Learned vectors of a grid of patches, interpolated to a grid of another size: ``[h * w, C] -> [h' * w', C]``.

    >>> resampled(torch.ones(4, 3), (2, 2), (3, 5)).shape
    torch.Size([15, 3])
    """
    image = table.reshape(1, *grid, -1).movedim(-1, 1)  # [1, C, h, w]
    image = interpolate(image, tuple(to), mode=mode, align_corners=False, antialias=antialias)
    return image.flatten(2)[0].t()  # [h' * w', C]


class Rotation(NamedTuple):
    """Rotations of the channels of each token, pair by pair: cosines and sines ``[N, D / 2]`` or ``[B, 1, N, D / 2]``.

    Pairs are channels i and i + D / 2, or neighbours where they are ``interleaved``. Shapes: ``[B, H, N, D]``,
    unchanged.
    """

    cos: Tensor
    sin: Tensor
    interleaved: bool

    def __call__(self, x: Tensor) -> Tensor:
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        a, b = torch.unflatten(x, -1, (-1, 2)).unbind(-1) if self.interleaved else x.chunk(2, dim=-1)
        turned = torch.addcmul(a * cos, b, sin, value=-1), torch.addcmul(b * cos, a, sin)
        return torch.stack(turned, -1).flatten(-2) if self.interleaved else torch.cat(turned, -1)


class Rotary(nn.Module):
    r"""Rotary positions: queries and keys are rotated by angles that grow with their positions.

    .. math:: q_p \cdot k_{p'} \to (R_p q) \cdot (R_{p'} k) = q \cdot R_{p' - p} k, \qquad
       R_p = \mathrm{diag}_i\, R(b^{-i/n} p)

    so that scores depend only on distances. With several axes the channels are divided among them: the first ones
    rotate by the first axis.

    Args:
        size: Channels of a head, a multiple of twice the axes.
        axes: Coordinates of a token.
        base: The base b of the frequencies.
        pairs: Which channels make a pair: ``halves`` (LLaMA, GPT-NeoX) or ``neighbours`` (RoFormer, SAM 2).

    References: Su et al., RoFormer, 2021, arXiv:2104.09864, eq. 14-15; Heo et al., Rotary Position Embedding for
    Vision Transformer, 2024, arXiv:2403.13298 (axes).

    Shapes: coordinates ``[N, axes]`` or ``[B, N, axes]``, with one axis ``[N]`` or ``[B, N]``, to a `Rotation`;
    ValueError for a size that cannot be divided into pairs for each axis.

    >>> Rotary(4)(torch.arange(3)).cos.shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        size: int,
        *,
        axes: int = 1,
        base: float = 10000.0,
        pairs: Literal["halves", "neighbours"] = "halves",
    ) -> None:
        super().__init__()
        if size % (2 * axes):
            raise ValueError(f"a head of {size} channels must be a multiple of {2 * axes}: pairs for {axes} axes")
        self.size, self.axes, self.base, self.interleaved = size, axes, base, pairs == "neighbours"

    def forward(self, at: Tensor) -> Rotation:
        at = at.unsqueeze(-1) if self.axes == 1 else at
        # In float32 whatever the model's precision: bfloat16 has no whole numbers above 256.
        per_axis = frequencies(self.size // (2 * self.axes), self.base, at.device)
        angles = (at.float().unsqueeze(-1) * per_axis).flatten(-2)  # [N, D / 2] or [B, N, D / 2]
        angles = angles.unsqueeze(1) if angles.dim() == 3 else angles
        return Rotation(angles.cos(), angles.sin(), self.interleaved)
