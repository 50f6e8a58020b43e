"""A masked autoregressive flow, in zoo and in three other libraries.

Affine layers with MADEs of two hidden layers, the order of the elements changed between any two, a fixed standard
normal base: the parameter counts are equal by construction. They differ in how the scale is bounded, and in the order:
reversed, but in normflows drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from torch import Tensor, nn

import zoo

from .contender import Contender
from .declared import declared_flow


@dataclass(frozen=True)
class Size:
    """Of an autoregressive flow on points ``[B, dim]``."""

    dim: int
    layers: int
    width: int

    @property
    def made(self) -> dict[str, Any]:
        """The network in the words of nflows and normflows: a first layer and one block are two hidden layers."""
        return {"hidden_features": self.width, "use_residual_blocks": False}


def in_zoo(size: Size) -> Contender:
    """The flow in zoo."""
    layer = {"type": "autoregressive", "transformer": "affine", "net": {"type": "made", "width": size.width}}
    return declared_flow(zoo.Shape(size.dim), [layer, {"type": "reverse"}] * size.layers)


def nflows(size: Size) -> Contender:
    library = import_module("nflows.flows")
    flow = library.MaskedAutoregressiveFlow(size.dim, num_layers=size.layers, num_blocks_per_layer=1, **size.made)
    return Contender(flow, lambda x: -flow.log_prob(x).mean(), flow.sample)


def normflows(size: Size) -> Contender:
    """Reversed: as it comes, a layer takes one pass to draw and one for each element to train, an IAF."""
    library = import_module("normflows")
    layers: list[nn.Module] = []
    for _ in range(size.layers):
        made = library.flows.MaskedAffineAutoregressive(size.dim, num_blocks=1, **size.made)
        layers += [library.flows.Reverse(made), library.flows.Permute(size.dim)]
    flow = library.NormalizingFlow(library.distributions.DiagGaussian(size.dim, trainable=False), layers)

    def sample(n: int) -> Tensor:
        x: Tensor = flow.sample(n)[0]
        return x

    return Contender(flow, flow.forward_kld, sample)


def zuko(size: Size) -> Contender:
    flow = import_module("zuko").flows.MAF(size.dim, transforms=size.layers, hidden_features=(size.width, size.width))
    return Contender(flow, lambda x: -flow().log_prob(x).mean(), lambda n: flow().sample((n,)))


PEERS: Mapping[str, Callable[[Size], Contender]] = {"nflows": nflows, "normflows": normflows, "zuko": zuko}
"""By the name of the module that has to be there."""
