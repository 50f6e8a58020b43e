"""Perceptron of a noisy example and its noise level."""

from __future__ import annotations

import math

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from zoo import Shape, TakesContext, component

from ...nets.activations import Activation
from ...nets.activations import activation as nonlinearity
from .base import Denoiser, sinusoids, zero


@component("time_mlp")
class TimeMLP(Denoiser, TakesContext):
    r"""Residual perceptron of an example and its noise level, for points, tables and small images.

    .. math:: e = \phi(W_e f(c) + b_e), \qquad h_0 = W x + b, \qquad
       h_l = h_{l-1} + V_l\, \phi\bigl(W_l\, \phi(h_{l-1}) + U_l e + b_l\bigr), \qquad y = W' \phi(h_L)

    with :math:`f(c) = (s, \sin 2^k \pi s, \cos 2^k \pi s)_k` of :math:`s = c / 1000`. ``W'`` starts at zero. The
    example, of any shape, is flattened, and the output reshaped.

    Args:
        width: The units of a hidden layer.
        depth: The number of blocks, :math:`L`.
        frequencies: The number of frequencies of the noise level.
        activation: The nonlinearity :math:`\phi`.
        context: The size of a context that is added to the level's vector; 0 for none.

    Shapes: ``[B, *in_shape]`` and levels ``[B]`` to ``[B, *out_shape]``.

    >>> import torch, zoo
    >>> net = TimeMLP(zoo.Shape(2), zoo.Shape(2), width=8)
    >>> net(torch.ones(5, 2), torch.full((5,), 300.0)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        width: PositiveInt = 128,
        depth: PositiveInt = 3,
        frequencies: PositiveInt = 4,
        activation: Activation = "silu",
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(in_shape, out_shape)
        self.context = context
        self.frequencies = frequencies
        self.first = nn.Linear(in_shape.size, width)
        self.level = nn.Linear(1 + 2 * frequencies, width)
        self.given = nn.Linear(context, width, bias=False) if context else None
        self.blocks = nn.ModuleList(_Block(width, activation) for _ in range(depth))
        self.phi = nonlinearity(activation)
        self.last = zero(nn.Linear(width, out_shape.size))
        self._sizes = tuple(out_shape)

    def forward(self, x: Tensor, c: Tensor, context: Tensor | None = None) -> Tensor:
        s = c / 1000.0
        octaves = math.pi * 2.0 ** torch.arange(self.frequencies, dtype=s.dtype, device=s.device)
        e = self.level(torch.cat((s.unsqueeze(1), sinusoids(s, octaves)), dim=1))  # [B, width]
        if self.given is not None and context is not None:
            e = e + self.given(context)
        e = self.phi(e)
        h = self.first(x.flatten(1))
        for block in self.blocks:
            h = block(h, e)
        y: Tensor = self.last(self.phi(h))  # [B, out]
        return torch.unflatten(y, 1, self._sizes) if len(self._sizes) > 1 else y


class _Block(nn.Module):
    """A residual block with the vector of the noise level."""

    def __init__(self, width: int, phi: Activation) -> None:
        super().__init__()
        self.phi = nonlinearity(phi)
        self.before, self.level, self.after = (nn.Linear(width, width, bias=i != 1) for i in range(3))

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        inner = self.before(self.phi(h)) + self.level(e)
        added: Tensor = self.after(self.phi(inner))
        return h + added
