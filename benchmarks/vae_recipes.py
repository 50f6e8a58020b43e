"""The contenders of the benchmark of VAEs: one beta-VAE on sprites by hand, in zoo and in pythae."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from itertools import cycle, islice

import torch
from torch import Tensor

import zoo
from zoo.engine.runtime import Choices

from .autoencoder import EAGER, Autoencoder, declared_vae
from .harness import Block, Clock, timed
from .plain_vae import plain, tuned
from .pythae_vae import in_pythae, trained_by_pythae

BATCH, LATENT, BETA = 64, 10, 4.0
LEARNING_RATE = 5e-4
KEPT = 16
"""Batches in memory while steps are timed."""

COMPILED = replace(EAGER, compile=True)
CHANNELS_LAST = replace(COMPILED, channels_last=True)
BF16 = replace(CHANNELS_LAST, precision="bf16")


@dataclass(frozen=True)
class Recipe:
    """How an autoencoder is built and trained: ``fused`` is Adam in one kernel.

    ``keep_freed`` is a setting of the whole process. ``same_noise`` says that equal seeds give it the numbers that they
    give the others: a compiled model draws its own.
    """

    build: Callable[[], Autoencoder]
    fused: bool | None = None
    keep_freed: bool = False
    same_noise: bool = False


def _in_zoo(choices: Choices = EAGER) -> Autoencoder:
    """The parts of ``beta-vae``."""
    weighting = {"type": "beta", "beta": BETA}
    return declared_vae(_sprites().event, choices, latent=LATENT, encoder="conv", decoder="conv", weighting=weighting)


def _in_pythae() -> Autoencoder:
    return in_pythae(_in_zoo(), LATENT, BETA)


def _sprites() -> zoo.Dataset:
    sprites: zoo.Dataset = zoo.declare(zoo.Dataset, "dsprites_like")()
    return sprites


PYTHAE = {"pythae": Recipe(_in_pythae, same_noise=True)} if find_spec("pythae") else {}
BY_ITS_TRAINER = "pythae, its trainer"
DEFAULTS = "zoo, defaults"

# "defaults" are what `zoo train beta-vae` comes to, whose spec sets channels_last; "contiguous" is without that.
RECIPES = {
    **PYTHAE,
    "plain": Recipe(partial(plain, LATENT, BETA), same_noise=True),
    "plain, tuned": Recipe(partial(tuned, LATENT, BETA), fused=True, keep_freed=True),
    "zoo, eager": Recipe(_in_zoo, same_noise=True),
    "zoo, contiguous": Recipe(partial(_in_zoo, COMPILED), fused=True, keep_freed=True),
    DEFAULTS: Recipe(partial(_in_zoo, CHANNELS_LAST), fused=True, keep_freed=True),
    "zoo, bf16": Recipe(partial(_in_zoo, BF16), fused=True, keep_freed=True),
}
TIMED = [*RECIPES, *([BY_ITS_TRAINER] if PYTHAE else [])]


def batches(seed: int = 0) -> Iterator[Tensor]:
    """Batches of sprites without end, uint8 ``[BATCH, 1, 64, 64]``: a pure function of the seed."""
    examples, draw = _sprites().split("train"), torch.Generator().manual_seed(seed)
    while True:
        yield _images(examples, torch.randint(len(examples), (BATCH,), generator=draw))


def held_out(count: int) -> Tensor:
    """Images of the test set, uint8 ``[count, 1, 64, 64]``."""
    return _images(_sprites().split("test"), torch.arange(count))


def _images(examples: zoo.Examples, numbers: Tensor) -> Tensor:
    return examples.render(examples.read(numbers))["image"]


def training_block(name: str, clock: Clock) -> Block:
    """Blocks of training steps."""
    kept = list(islice(batches(), KEPT))
    if name == BY_ITS_TRAINER:
        return trained_by_pythae(_in_pythae(), torch.cat(kept).float(), BATCH, LEARNING_RATE, clock)
    vae = RECIPES[name].build()
    step = optimised(vae, RECIPES[name].fused)
    data = cycle([x.to(vae.takes) for x in kept])
    return timed(lambda: step(next(data)), clock=clock)


def optimised(vae: Autoencoder, fused: bool | None = None) -> Callable[[Tensor], Tensor]:
    """A training step on a batch: forward, backward, Adam, zero_grad. It returns the loss."""
    adam = torch.optim.Adam(vae.module.parameters(), lr=LEARNING_RATE, fused=fused)

    def step(x: Tensor) -> Tensor:
        loss = vae.loss(x)
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        adam.zero_grad()
        return loss.detach()

    return step


def trained(name: str, steps: int, noise: int = 0) -> tuple[Autoencoder, list[float]]:
    """One contender after so many steps from the weights, and on the batches, that all have; and its losses."""
    torch.compiler.reset()
    vae = RECIPES[name].build()
    torch.manual_seed(0)
    vae.start_like(plain(LATENT, BETA))
    torch.manual_seed(noise)
    step = optimised(vae, RECIPES[name].fused)
    losses = [step(x.to(vae.takes)) for x in islice(batches(), steps)]
    return vae, torch.stack(losses).tolist()


def check_agreement() -> float:
    """The largest relative difference of losses over ten steps, from the same weights and with the same noise.

    Raises RuntimeError above 1e-5: then the benchmark would compare different models.
    """
    alike = [name for name, recipe in RECIPES.items() if recipe.same_noise]
    losses = torch.tensor([trained(name, 10)[1] for name in alike], dtype=torch.float64)
    difference: float = ((losses - losses[0]) / losses[0]).abs().max().item()
    if difference > 1e-5:
        raise RuntimeError(f"{', '.join(alike)} differ by {difference:.1e} with the same weights: {losses.tolist()}")
    return difference
