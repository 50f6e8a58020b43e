"""The reference: RealNVP written by hand in torch, with nothing that this one model does not need."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .contender import COUPLINGS, Contender, network

MAX_LOG_SCALE = 2.0


class PlainRealNVP(nn.Module):
    """Eight affine couplings that keep the halves apart all the way: no split, no merge, no dispatch."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.features = dim // 2
        self.log_normaliser = 0.5 * dim * math.log(2 * math.pi)
        self.nets = nn.ModuleList(network(self.features, 2 * self.features) for _ in range(COUPLINGS))

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, 1)
        log_prob = torch.zeros(len(x), dtype=x.dtype)
        for net in self.nets:
            s, t = _scale_and_shift(net, a)
            a, b = torch.addcmul(t, b, s.exp()), a
            log_prob = log_prob + s.sum(1)
        return log_prob - 0.5 * (a.square().sum(1) + b.square().sum(1)) - self.log_normaliser

    def sample(self, n: int) -> Tensor:
        a, b = torch.randn(n, 2 * self.features).chunk(2, 1)
        for net in reversed(self.nets):
            s, t = _scale_and_shift(net, b)
            a, b = b, (a - t) * s.neg().exp()
        return torch.cat([a, b], 1)


class MergedRealNVP(nn.Module):
    """The same, each coupling a map of whole points that could stand among others: split, change, merge."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.features = dim // 2
        self.log_normaliser = 0.5 * dim * math.log(2 * math.pi)
        self.nets = nn.ModuleList(network(self.features, 2 * self.features) for _ in range(COUPLINGS))

    def forward(self, x: Tensor) -> Tensor:
        log_prob = torch.zeros(len(x), dtype=x.dtype)
        for i, net in enumerate(self.nets):
            halves = list(x.chunk(2, 1))
            s, t = _scale_and_shift(net, halves[i % 2])
            halves[1 - i % 2] = torch.addcmul(t, halves[1 - i % 2], s.exp())
            x = torch.cat(halves, 1)
            log_prob = log_prob + s.sum(1)
        return log_prob - 0.5 * x.square().sum(1) - self.log_normaliser

    def sample(self, n: int) -> Tensor:
        x = torch.randn(n, 2 * self.features)
        for i, net in reversed(list(enumerate(self.nets))):
            halves = list(x.chunk(2, 1))
            s, t = _scale_and_shift(net, halves[i % 2])
            halves[1 - i % 2] = (halves[1 - i % 2] - t) * s.neg().exp()
            x = torch.cat(halves, 1)
        return x


def plain(dim: int) -> Contender:
    return _contender(PlainRealNVP(dim))


def merged(dim: int) -> Contender:
    return _contender(MergedRealNVP(dim))


def _scale_and_shift(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    s, t = net(x).chunk(2, 1)
    return MAX_LOG_SCALE * torch.tanh(s * (1.0 / MAX_LOG_SCALE)), t


def _contender(flow: PlainRealNVP | MergedRealNVP) -> Contender:
    return Contender(flow, lambda x: -flow(x).mean(), flow.sample)
