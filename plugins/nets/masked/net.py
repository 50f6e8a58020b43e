"""Networks that give each element parameters by the elements before it."""

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
    r"""A network :math:`h = g(x)` where the parameters :math:`h_i` of a site depend on the sites before it.

    A site is an element, or, where the channels of a pixel come ``together``, a pixel. An element is described by one
    number or by several, its ``features``: feature f of channel c is channel ``f * C + c`` of the input. The order of
    the sites is `ranks`, that of memory unless a net says otherwise. The last layer starts at zero.

    Shapes: ``[B, *in_shape] -> [B, count, *sites]``: ``count`` parameters for each site; with one feature and an
    element at a time both are ``shape``.
    """

    kept: bool = True
    """Whether `unroll` keeps what the known sites led to, and so costs less than a pass for each site."""

    few: int = 0
    """Up to so many draws are found faster by passes of all sites at once, until nothing changes, than by `unroll`."""

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
        """The ``x`` ``[n, *in_shape]`` of which each site is ``solve`` of its place in memory and its parameters.

        Sites come one after the other, in the order of `ranks`.
        """

    @abstractmethod
    def sees(self) -> Tensor:
        """Which elements a site's parameters depend on, as declared: booleans ``[sites, elements]``, on the CPU."""

    def ranks(self) -> Tensor:
        """When each site comes: int64 ``[sites]``, on the CPU; a hook for an order that is not that of memory."""
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
    """ValueError for a net that takes one element at a time, described by one number, where more is asked of it."""
    if net.together > 1:
        raise ValueError(f"{name} gives each element parameters of its own: the head wants {net.together} at a time")
    if net.features > 1:
        raise ValueError(f"{name} takes one number for each element, not {net.features}: declare other inputs")


class AnyOrder(ABC):
    """What an `AutoregressiveNet` can do if its weights belong to elements, and its masks alone to their order.

    An order is given by ``ranks``: when each element comes, int64 ``[D]``. With those of memory, ``0, 1, ...``, both
    methods are the net's own.
    """

    @abstractmethod
    def in_order(self, x: Tensor, ranks: Tensor, context: Tensor | None = None) -> Tensor:
        """The parameters of all sites, each by the elements of lower ranks: `AutoregressiveNet.forward`."""

    @abstractmethod
    def unroll_in(self, ranks: Tensor, solve: Solve, n: int, context: Tensor | None = None) -> Tensor:
        """The elements one after the other by their ranks: `AutoregressiveNet.unroll`."""
