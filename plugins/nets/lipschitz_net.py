"""The kind of networks that stretch no distance beyond a bound."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field
from torch import Tensor, nn

from zoo import Component, Contract, Shape, misshapen

Contraction = Annotated[float, Field(gt=0, le=0.99)]
"""A Lipschitz constant below one, by enough that fixed points are found."""


class LipschitzNet(Component, nn.Module, ABC):
    r"""A network :math:`g` from a shape to itself with a bound on its Lipschitz constant, in the Euclidean norm.

    .. math:: |g(x) - g(y)| \le c\, |x - y|, \qquad c < 1

    whatever its parameters are; c is ``lipschitz``. It is differentiable twice, treats each sample alone, and its last
    layer starts at zero. `weights` computes what bounds it, once for as many calls as use it.

    Shapes: ``[B, *shape] -> [B, *shape]``.
    """

    def __init__(self, shape: Shape, lipschitz: float) -> None:
        super().__init__()
        self.shape = shape
        self.lipschitz = lipschitz

    @abstractmethod
    def weights(self) -> Sequence[Tensor]:
        """The weights that keep the bound, from the parameters."""

    @abstractmethod
    def forward(self, x: Tensor, weights: Sequence[Tensor]) -> Tensor:
        """``x -> g(x)`` with these weights."""

    @staticmethod
    def _takes(net: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the input", args[0], net.shape)

    @staticmethod
    def _gives(net: Any, result: Any) -> str | None:
        return misshapen("its output", result, net.shape)

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}


def bounded(W: Tensor, norm: Tensor, most: float) -> Tensor:
    r""":math:`W / \max(1, \sigma / c)`: weights of a norm of at most c, and themselves where they have that already.

    >>> import torch
    >>> bounded(torch.eye(2), torch.tensor(1.0), 0.5)
    tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]])
    """
    return W / (norm / most).clamp(min=1.0)
