"""The contenders of the density benchmark: one RealNVP by hand, in zoo and in other libraries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import Tensor

import zoo

from .blocks import DEFAULTS, EAGER, LEARNING_RATE, SHORT_RUN, Training, sampling, training
from .contender import COUPLINGS, HIDDEN, WIDTH, Contender
from .declared import declared_flow
from .harness import Block, Clock
from .peers import PEERS
from .plain import merged, plain

BATCH = 512


@dataclass(frozen=True)
class Recipe:
    """How a flow is built and trained.

    ``keep_freed`` is a setting of the whole process, so it takes effect only where a contender has one of its own.
    """

    build: Callable[[int], Contender]
    training: Training = EAGER
    keep_freed: bool = False


def zoo_flow(dim: int) -> Contender:
    """The same flow, declared."""
    net = {"type": "mlp", "width": WIDTH, "depth": len(HIDDEN)}
    couplings = [
        {"type": "affine_coupling", "mask": {"type": "channel", "swap": i % 2 == 1}, "conditioner": net}
        for i in range(COUPLINGS)
    ]
    return declared_flow(zoo.Shape(dim), couplings)


# zoo trains with the fused Adam and keeps freed memory; it compiles (``engine.compile: auto``) where a run is long
# enough to win back what that costs. "eager" leaves all three out: what remains is the cost of zoo's structure.
RECIPES = {
    "plain": Recipe(plain),
    "plain, merged": Recipe(merged),
    "plain, compiled": Recipe(plain, DEFAULTS),
    "zoo, eager": Recipe(zoo_flow),
    "zoo, short run": Recipe(zoo_flow, SHORT_RUN, keep_freed=True),
    "zoo, defaults": Recipe(zoo_flow, DEFAULTS, keep_freed=True),
} | {name: Recipe(build) for name, (module, build) in PEERS.items() if find_spec(module)}


def batches(dim: int, count: int = 64, seed: int = 0) -> list[Tensor]:
    """Correlated normals, so that there is something to learn and nothing to blow up: ``count`` of ``[BATCH, dim]``."""
    draw = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dim, dim, generator=draw) / dim**0.5
    return [torch.randn(BATCH, dim, generator=draw) @ mixing for _ in range(count)]


def training_block(name: str, dim: int, clock: Clock) -> Block:
    """Blocks of training steps."""
    torch.manual_seed(0)
    recipe = RECIPES[name]
    return training(recipe.build(dim), batches(dim), recipe.training, clock)


def sampling_block(name: str, dim: int, clock: Clock) -> Block:
    """Blocks of draws of `BATCH` points each."""
    torch.manual_seed(0)
    return sampling(RECIPES[name].build(dim), BATCH, clock)


def check_agreement(dim: int) -> float:
    """The largest relative difference between the losses by hand and zoo's over ten steps from the same weights.

    Raises RuntimeError above 1e-5: then the benchmark would compare two different models.
    """
    torch.manual_seed(0)
    contenders = [plain(dim), merged(dim), zoo_flow(dim)]
    given, *others = (list(contender.module.parameters()) for contender in contenders)
    with torch.no_grad():
        for own in others:
            for parameter, value in zip(own, given, strict=True):
                parameter.copy_(value)
    losses = torch.stack([_losses(contender, batches(dim, count=10)) for contender in contenders])
    difference: float = ((losses - losses[0]) / losses[0]).abs().max().item()
    if difference > 1e-5:
        raise RuntimeError(f"they differ by {difference:.1e} with the same weights: {losses.tolist()}")
    return difference


def _losses(contender: Contender, data: list[Tensor]) -> Tensor:
    adam = torch.optim.Adam(contender.module.parameters(), lr=LEARNING_RATE)
    losses = []
    for x in data:
        loss = contender.loss(x)
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        adam.zero_grad()
        losses.append(loss.detach())
    return torch.stack(losses)
