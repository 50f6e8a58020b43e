"""Autoregressive networks: the parameters of each element depend on the elements before it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zoo import Component, Contract, Shape, misshapen, wrong_context

Solve = Callable[[int, Tensor], Tensor]
"""``(i, h) -> x_i``: what is at place i of memory, ``[B]``, once its parameters ``[B, count]`` are known.

Where there are several features, or channels that come together, it gives ``[B, together * features]``.
"""


class AutoregressiveNet(Component, nn.Module, ABC):
    r"""Network :math:`h = g(x)` in which the parameters :math:`h_i` of a site depend on the sites before it.

    A site is an element, or a pixel if all its channels come ``together``. An element is described by one number or by
    several, its ``features``: feature f of channel c is channel ``f * C + c`` of the input. The order of the sites is
    `ranks`, by default that of memory. The last layer starts at zero.

    Shapes: ``[B, *in_shape] -> [B, count, *sites]``: ``count`` parameters for each site; with one feature and an
    element at a time both are ``shape``.
    """

    kept: bool = True
    """Whether `unroll` caches intermediate results of the known sites, and so costs less than a pass for each site."""

    few: int = 0
    """Up to this many samples, passes of all sites at once, until nothing changes, are faster than `unroll`."""

    def __init__(self, shape: Shape, count: int, together: int = 1, features: int = 1) -> None:
        super().__init__()
        if shape[0] % together:
            raise ValueError(f"{together} channels at a time do not divide the {shape[0]} of {shape}")
        self.shape = shape
        self.count = count
        self.together = together
        self.features = features
        self.in_shape = shape.channels(features)
        self.sites = shape.with_channels(shape[0] // together)

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The parameters of all sites, from all elements."""

    @abstractmethod
    def unroll(self, solve: Solve, n: int, context: Tensor | None = None) -> Tensor:
        """Generate ``x``, ``[n, *in_shape]``: each site is ``solve`` of its place in memory and its parameters.

        Sites come one after the other, in the order of `ranks`.
        """

    @abstractmethod
    def sees(self) -> Tensor:
        """Which elements a site's parameters depend on, as declared: booleans ``[sites, elements]``, on the CPU."""

    def ranks(self) -> Tensor:
        """The position of each site in the order: int64 ``[sites]``, on the CPU. Override for an order other than
        memory's.
        """
        return torch.arange(self.sites.size, device="cpu")

    @staticmethod
    def _takes(net: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the input", args[0], net.in_shape) or wrong_context(net, args)

    @staticmethod
    def _gives(net: Any, result: Any) -> str | None:
        return misshapen("its output", result, Shape(net.count, *net.sites))

    @staticmethod
    def _takes_solve(net: Any, args: tuple[Any, ...]) -> str | None:
        return wrong_context(net, args[1:])

    @staticmethod
    def _gives_events(net: Any, result: Any) -> str | None:
        return misshapen("its x", result, net.in_shape)

    contracts: ClassVar[Mapping[str, Contract]] = {
        "forward": Contract(_takes, _gives),
        "unroll": Contract(_takes_solve, _gives_events),
    }


def check_single(net: AutoregressiveNet, name: str) -> None:
    """ValueError if a net that takes single elements, described by one number, is asked for more."""
    if net.together > 1:
        raise ValueError(f"{name} computes parameters of single elements: the head needs {net.together} at a time")
    if net.features > 1:
        raise ValueError(f"{name} takes one number for each element, got {net.features}: declare other inputs")


class AnyOrder(ABC):
    """Capability of an `AutoregressiveNet` whose weights belong to elements, and only its masks to their order.

    An order is given by ``ranks``, the position of each element, int64 ``[D]``. With the order of memory, ``0, 1,
    ...``, both methods agree with those of the net.
    """

    @abstractmethod
    def in_order(self, x: Tensor, ranks: Tensor, context: Tensor | None = None) -> Tensor:
        """The parameters of all sites, each by the elements of lower ranks: `AutoregressiveNet.forward`."""

    @abstractmethod
    def unroll_in(self, ranks: Tensor, solve: Solve, n: int, context: Tensor | None = None) -> Tensor:
        """The elements one after the other by their ranks: `AutoregressiveNet.unroll`."""
