"""The kind of invertible maps with a tractable Jacobian determinant."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from ..shape import Shape
from .component import Component, Contract
from .contracts import misshapen, not_a_pair, not_per_sample


class Bijection(Component, nn.Module, ABC):
    r"""An invertible map :math:`f` from data to latent, with its log-determinant.

    .. math:: \log p_X(x) = \log p_Z(f(x)) + \log|\det \partial f(x) / \partial x|

    Shapes: ``x`` is ``[B, *shape]``, ``z`` is ``[B, *out_shape]`` (as many numbers), ``log_det`` is ``[B]``, one number
    a sample, in nats and in at least float32, from the same pass, both ways.
    """

    domain: tuple[float, float] | None = None
    """The interval in which each element of ``x`` lies, unless it is the whole line. Where no z belongs to an x
    beyond it, ``log_det`` is minus infinity and ``z`` finite, so that a density is zero there and no gradient NaN."""

    exact: bool = True
    """Whether ``log_det`` is the log-determinant itself; otherwise it is random, with that as its mean."""

    rounds: bool = False
    """Whether ``forward`` takes data in float64 and rounds what it gives to the dtype of its own numbers."""

    differentiates: bool = False
    """Whether ``forward`` runs automatic differentiation: then it compiles, but torch exports no graph of it."""

    def __init__(self, shape: Shape, out_shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.out_shape = out_shape or shape

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``x -> (z, log_det)`` with ``log_det`` of :math:`\\partial z / \\partial x`."""

    @abstractmethod
    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``z -> (x, log_det)`` with ``log_det`` of :math:`\\partial x / \\partial z`."""

    def decode(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """``z -> x`` without the log-determinant: override it to save work in sampling."""
        return self.inverse(z, context)[0]

    @staticmethod
    def _takes(bijection: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the input", args[0], bijection.shape)

    @staticmethod
    def _takes_latent(bijection: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the latent", args[0], bijection.out_shape)

    @staticmethod
    def _gives(bijection: Any, result: Any) -> str | None:
        return (
            not_a_pair("its result", result)
            or misshapen("its z", result[0], bijection.out_shape)
            or not_per_sample("its log_det", result[1])
        )

    @staticmethod
    def _gives_data(bijection: Any, result: Any) -> str | None:
        return (
            not_a_pair("its result", result)
            or misshapen("its x", result[0], bijection.shape)
            or not_per_sample("its log_det", result[1])
        )

    contracts: ClassVar[Mapping[str, Contract]] = {
        "forward": Contract(_takes, _gives),
        "inverse": Contract(_takes_latent, _gives_data),
    }
