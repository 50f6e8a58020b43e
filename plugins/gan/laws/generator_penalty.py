"""Laws of penalties of generators: they are penalties, and generators learn from them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.testing import Laws, require

from ..generator_penalty import GeneratorPenalty

B = 4


class Draws(nn.Module):
    """A generator of images, of two layers, in float64."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layers = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 8)).double()

    def forward(self, w: Tensor) -> Tensor:
        return torch.unflatten(self.layers(w[:, 0]), 1, (2, 2, 2))


def penalised(penalty: GeneratorPenalty, net: Draws) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        values: Tensor = penalty.train()(net, net, torch.randn(B, 1, 3, dtype=torch.float64))
        return values


def it_is_a_penalty(penalty: GeneratorPenalty) -> None:
    """It is a finite number for each draw or for all together, and not negative."""
    values = penalised(penalty, Draws())
    require(tuple(values.shape) in ((), (B,)), f"the penalty has the shape {list(values.shape)}, expected [] or {[B]}")
    require(bool(values.isfinite().all()) and bool((values >= 0).all()), "the penalty is negative or not finite")


def the_generator_learns(penalty: GeneratorPenalty) -> None:
    """The penalty has a gradient with respect to the parameters of the generator."""
    net = Draws()
    weights = [p for p in net.parameters() if p.dim() > 1]
    slopes = torch.autograd.grad(penalised(penalty, net).mean(), weights, allow_unused=True)
    require(
        all(slope is not None and bool(slope.any()) for slope in slopes),
        "no gradient reaches some of the weights of the generator",
    )


LAWS = Laws.of(it_is_a_penalty, the_generator_learns, given=[()])
