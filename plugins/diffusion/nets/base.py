"""Kind of networks of a noisy example and its noise level."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from zoo import Component, Contract, Shape, misshapen

if TYPE_CHECKING:
    from zoo.testing import Laws


class Denoiser(Component, nn.Module, ABC):
    r"""Network of a noisy example and its noise level, ``(x, c) -> F``, with a last layer that starts at zero.

    The number :math:`c` rises with the noise, from about 0 to about 1000: networks scale it themselves. Where it
    declares a ``context``, it gets vectors of that size.

    Shapes: ``x`` ``[B, *in_shape]``, ``c`` ``[B]``, a context ``[B, context]``, to ``[B, *out_shape]``.
    """

    context: int = 0

    def __init__(self, in_shape: Shape, out_shape: Shape) -> None:
        super().__init__()
        self.in_shape, self.out_shape = in_shape, out_shape

    @abstractmethod
    def forward(self, x: Tensor, c: Tensor, context: Tensor | None = None) -> Tensor:
        """The output, from a noisy example and its noise level."""

    @classmethod
    def laws(cls) -> Laws:
        from ..laws.denoiser import LAWS

        return LAWS

    @staticmethod
    def _takes(net: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the input", args[0], net.in_shape)

    @staticmethod
    def _gives(net: Any, result: Any) -> str | None:
        return misshapen("its output", result, net.out_shape)

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}


def zero(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    """A layer with its weight and bias set to zero."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def sinusoids(c: Tensor, frequencies: Tensor, *, cosine_first: bool = False) -> Tensor:
    """Sines and cosines of numbers ``[B]`` at frequencies ``[n]``, ``[B, 2 n]``.

    >>> sinusoids(torch.zeros(1), torch.ones(2))
    tensor([[0., 0., 1., 1.]])
    """
    angles = c.unsqueeze(1) * frequencies  # [B, n]
    both = (angles.cos(), angles.sin()) if cosine_first else (angles.sin(), angles.cos())
    return torch.cat(both, dim=1)
