"""The kinds of networks: conditioners, encoders and decoders map one shape to another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from ..shape import Shape
from .component import Component, Contract
from .contracts import misshapen, wrong_context


def _takes(network: Any, args: tuple[Any, ...]) -> str | None:
    return misshapen("the input", args[0], network.in_shape)


def _takes_with_context(network: Any, args: tuple[Any, ...]) -> str | None:
    return _takes(network, args) or wrong_context(network, args)


def _gives(network: Any, result: Any) -> str | None:
    return misshapen("its output", result, network.out_shape)


class _Network(nn.Module):
    """Base of the kinds of network: they are built from an input and an output shape."""

    def __init__(self, in_shape: Shape, out_shape: Shape) -> None:
        super().__init__()
        self.in_shape = in_shape
        self.out_shape = out_shape


class Conditioner(Component, _Network, ABC):
    """A network ``[B, *in_shape] -> [B, *out_shape]`` with a last layer that starts at zero.

    What it conditions therefore starts as its neutral element (a coupling as the identity).
    """

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes_with_context, _gives)}

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The parameters, from what is known."""


class Encoder(Component, _Network, ABC):
    """A network ``[B, *in_shape] -> [B, *out_shape]`` from data to a code, or to the parameters of one.

    Raises ValueError where it cannot give a shape.
    """

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The code, from data."""


class Decoder(Component, _Network, ABC):
    """A network ``[B, *in_shape] -> [B, *out_shape]`` from a code to data, or to the parameters of a likelihood.

    Raises ValueError where it cannot give a shape.
    """

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """Data, from a code."""
