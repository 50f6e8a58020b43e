"""The same RealNVP in four other libraries, each by its own public means and in its fastest form known to us.

Each has eight affine couplings on halves, a conditioner with two hidden layers of 128 that gives scale and shift
together, and a fixed standard normal base: the parameter counts are equal by construction. They differ in how the
scale is bounded (nflows: sigmoid; FrEIA: arctan; zuko: softsign; normflows: not at all) and, zuko, in which half.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

import torch
from torch import Tensor, nn

from .contender import COUPLINGS, HIDDEN, Contender, network


class WithoutContext(nn.Module):
    """nflows hands its networks a context as well, and splines divide what goes into a softmax by the root of their
    ``hidden_features``."""

    def __init__(self, features_in: int, features_out: int, hidden: Sequence[int] = HIDDEN) -> None:
        super().__init__()
        self.net = network(features_in, features_out, hidden)
        self.hidden_features = hidden[-1]

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        h: Tensor = self.net(x)
        return h


def nflows(dim: int) -> Contender:
    transforms = import_module("nflows.transforms")
    halves = torch.arange(dim) < dim // 2
    masks = [(halves if i % 2 else ~halves).int() for i in range(COUPLINGS)]
    flow = import_module("nflows.flows").Flow(
        transforms.CompositeTransform([transforms.AffineCouplingTransform(mask, WithoutContext) for mask in masks]),
        import_module("nflows.distributions").StandardNormal((dim,)),
    )
    return Contender(flow, lambda x: -flow.log_prob(x).mean(), flow.sample)


def normflows(dim: int) -> Contender:
    library = import_module("normflows")
    sizes = [dim // 2, *HIDDEN, dim]
    couplings = [
        library.flows.AffineCouplingBlock(
            library.nets.MLP(sizes), scale_map="exp", split_mode="channel_inv" if i % 2 else "channel"
        )
        for i in range(COUPLINGS)
    ]
    flow = library.NormalizingFlow(library.distributions.DiagGaussian(dim, trainable=False), couplings)

    def sample(n: int) -> Tensor:
        x: Tensor = flow.sample(n)[0]
        return x

    return Contender(flow, flow.forward_kld, sample)


def freia(dim: int) -> Contender:
    """A block of FrEIA changes both halves in turn: four blocks are eight couplings."""
    coupling = import_module("FrEIA.modules").GLOWCouplingBlock
    flow = import_module("FrEIA.framework").SequenceINN(dim)
    for _ in range(COUPLINGS // 2):
        flow.append(coupling, subnet_constructor=network)
    log_normaliser = 0.5 * dim * torch.log(torch.tensor(2 * torch.pi)).item()

    def loss(x: Tensor) -> Tensor:
        z, log_det = flow(x)
        nll: Tensor = (0.5 * z.square().sum(1) - log_det).mean() + log_normaliser
        return nll

    def sample(n: int) -> Tensor:
        x: Tensor = flow(torch.randn(n, dim), rev=True)[0]
        return x

    return Contender(flow, loss, sample)


def zuko(dim: int) -> Contender:
    flow = import_module("zuko").flows.RealNVP(dim, transforms=COUPLINGS, hidden_features=HIDDEN)
    return Contender(flow, lambda x: -flow().log_prob(x).mean(), lambda n: flow().sample((n,)))


PEERS: Mapping[str, tuple[str, Callable[[int], Contender]]] = {
    "nflows": ("nflows", nflows),
    "normflows": ("normflows", normflows),
    "zuko": ("zuko", zuko),
    "FrEIA": ("FrEIA", freia),
}
"""Name of the distribution, and what builds its flow."""
