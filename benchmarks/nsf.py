"""A coupling neural spline flow, in zoo and in three other libraries.

Couplings on halves, rational-quadratic splines on [-3, 3], conditioners of two hidden layers, a fixed standard normal
base: the parameter counts are equal by construction. They differ in the limits of the splines: zoo keeps a bin above
0.04 of the whole and derivatives between 0.1 and 3, the others bins above 0.001 and derivatives without upper limit.
nflows and normflows divide what goes into a softmax by the root of the width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

import zoo

from .contender import Contender
from .declared import declared_flow
from .peers import WithoutContext

BOUND = 3.0
LOOSE = {"min_bin": 1e-3, "min_derivative": 1e-3, "max_derivative": 1e3}
"""About the limits of the others, as parameters of zoo's spline."""


@dataclass(frozen=True)
class Size:
    """Of a spline flow on points ``[B, dim]``."""

    dim: int
    couplings: int
    width: int
    bins: int = 8

    @property
    def hidden(self) -> tuple[int, int]:
        return self.width, self.width


def in_zoo(size: Size, **limits: float) -> Contender:
    """The flow in zoo; ``limits`` are parameters of its spline."""
    net = {"type": "mlp", "width": size.width, "depth": len(size.hidden)}
    spline = {"type": "rational_quadratic_spline", "bins": size.bins, "bound": BOUND, **limits}
    couplings = [
        {
            "type": "coupling",
            "mask": {"type": "channel", "swap": i % 2 == 1},
            "conditioner": net,
            "transformer": spline,
        }
        for i in range(size.couplings)
    ]
    return declared_flow(zoo.Shape(size.dim), couplings)


def nflows(size: Size) -> Contender:
    transforms = import_module("nflows.transforms")
    couplings = [
        transforms.PiecewiseRationalQuadraticCouplingTransform(mask, **_settings(size)) for mask in _masks(size)
    ]
    flow = import_module("nflows.flows").Flow(
        transforms.CompositeTransform(couplings), import_module("nflows.distributions").StandardNormal((size.dim,))
    )
    return Contender(flow, lambda x: -flow.log_prob(x).mean(), flow.sample)


def normflows(size: Size) -> Contender:
    """From data to latent its layers run backwards, its splines forwards."""
    library = import_module("normflows")
    spline = import_module("normflows.flows.neural_spline.coupling").PiecewiseRationalQuadraticCoupling
    couplings = [library.flows.Reverse(spline(mask, **_settings(size))) for mask in _masks(size)]
    flow = library.NormalizingFlow(library.distributions.DiagGaussian(size.dim, trainable=False), couplings)

    def sample(n: int) -> Tensor:
        x: Tensor = flow.sample(n)[0]
        return x

    return Contender(flow, flow.forward_kld, sample)


def zuko(size: Size) -> Contender:
    library = import_module("zuko")
    spline = partial(library.transforms.MonotonicRQSTransform, bound=BOUND, slope=1e-3)
    shapes = [(size.bins,), (size.bins,), (size.bins - 1,)]
    couplings = [
        library.flows.coupling.GeneralCouplingTransform(
            size.dim, mask=mask <= 0, univariate=spline, shapes=shapes, hidden_features=size.hidden
        )
        for mask in _masks(size)
    ]
    normal = library.lazy.UnconditionalDistribution(
        library.distributions.DiagNormal, torch.zeros(size.dim), torch.ones(size.dim), buffer=True
    )
    flow = library.lazy.Flow(couplings, normal)
    return Contender(flow, lambda x: -flow().log_prob(x).mean(), lambda n: flow().sample((n,)))


PEERS: Mapping[str, Callable[[Size], Contender]] = {"nflows": nflows, "normflows": normflows, "zuko": zuko}
"""By the name of the module that has to be there."""


def _masks(size: Size) -> list[Tensor]:
    """One where an element is changed: the second half, the first half, and so on."""
    second = torch.arange(size.dim) >= (size.dim + 1) // 2
    return [(~second if i % 2 else second).int() for i in range(size.couplings)]


def _settings(size: Size) -> dict[str, Any]:
    return {
        "transform_net_create_fn": partial(WithoutContext, hidden=size.hidden),
        "num_bins": size.bins,
        "tails": "linear",
        "tail_bound": BOUND,
    }
