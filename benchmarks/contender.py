"""One library's flow, as the benchmarks see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

COUPLINGS = 8
WIDTH = 128
HIDDEN = (WIDTH, WIDTH)


@dataclass(frozen=True)
class Contender:
    """A flow with the same layers, networks and base as all the others.

    ``loss`` gives the mean negative log-likelihood of a batch ``[B, D]``, a scalar; ``sample`` draws ``n`` points.
    """

    module: nn.Module
    loss: Callable[[Tensor], Tensor]
    sample: Callable[[int], Tensor]

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.module.parameters() if parameter.requires_grad)


def network(features_in: int, features_out: int, hidden: Sequence[int] = HIDDEN) -> nn.Sequential:
    """The conditioner of every contender whose library lets its user bring one."""
    sizes = (features_in, *hidden)
    layers: list[nn.Module] = []
    for size, following in pairwise(sizes):
        layers += [nn.Linear(size, following), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], features_out))
