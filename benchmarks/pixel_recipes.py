"""The contenders of the benchmark of pixel models: the same layers in a plain loop, in zoo's, and by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import zoo
from zoo.engine.distributed import Alone
from zoo.engine.runtime import Choices, Runtime

from .plain_gated import PlainGated

BINARY = zoo.Event("image", zoo.Shape(1, 28, 28), levels=2)
COLOURS = zoo.Event("image", zoo.Shape(3, 32, 32), levels=256)
REFERENCE = "plain loop"
EAGER = Choices("cpu", "fp32", compile=False, channels_last=False)
CHANNELS_LAST = replace(EAGER, channels_last=True)
DEFAULTS = replace(CHANNELS_LAST, compile=True)

GATED: Mapping[str, Any] = {
    "type": "autoregressive",
    "net": {
        "type": "causal_stack",
        "width": 64,
        "entry": {"type": "masked", "kernel": 7},
        "layers": ["gated"] * 6,
        "readout": [64],
    },
    "head": "bernoulli",
    "inputs": "unit",
}
PIXELCNNPP: Mapping[str, Any] = {
    "type": "autoregressive",
    "net": {
        "type": "causal_stack",
        "width": 40,
        "entry": "shifted",
        "layers": [{"type": "u_net", "blocks": 2, "scales": 3, "dropout": 0.0}],
        "output": "weight_normed",
        "activation": "elu",
    },
    "head": {"type": "discretized_logistic_mixture", "components": 10},
}


@dataclass(frozen=True)
class Contender:
    """A model behind one call: the loss of a batch of levels."""

    module: nn.Module
    loss: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Recipe:
    """How a model is built of a seed, and trained: Adam ``fused`` in one kernel, freed memory kept by the process."""

    build: Callable[[int], Contender]
    event: zoo.Event
    batch: int = 16
    fused: bool | None = None
    keep_freed: bool = False


def declared(node: Mapping[str, Any], event: zoo.Event, seed: int = 0) -> Any:
    """A model of zoo, from the weights that all contenders have."""
    torch.manual_seed(seed)
    model: Any = zoo.declare(zoo.Model, node)(event)
    return model


def in_zoo(node: Mapping[str, Any], event: zoo.Event, choices: Choices, seed: int) -> Contender:
    """A model behind the call that zoo's trainer makes of it."""
    runtime = Runtime(declared(node, event, seed), choices, Alone())
    runtime.distribute()
    clock = zoo.Clock(torch.zeros((), dtype=torch.int64), steps=1000)

    def loss(x: Tensor) -> Tensor:
        return runtime.forward(runtime.arrange({event.name: x}), clock).loss

    return Contender(runtime.model, loss)


def by_hand(seed: int) -> Contender:
    """Gated PixelCNN with whole kernels under masks."""
    net = GATED["net"]
    model = PlainGated(net["width"], len(net["layers"]), net["readout"][0])
    model.start_like(declared(GATED, BINARY, seed).net)
    return Contender(model, model)


def stepper(recipe: Recipe, seed: int = 0) -> Callable[[Tensor], Tensor]:
    """A training step on a batch: forward, backward, Adam, zero_grad. It returns the loss."""
    contender = recipe.build(seed)
    adam = torch.optim.Adam(contender.module.parameters(), lr=1e-3, fused=recipe.fused)

    def step(x: Tensor) -> Tensor:
        loss = contender.loss(x)
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        adam.zero_grad()
        return loss.detach()

    return step


def _recipes(node: Mapping[str, Any], event: zoo.Event) -> dict[str, Recipe]:
    tuned = partial(Recipe, event=event, fused=True, keep_freed=True)
    return {
        REFERENCE: Recipe(partial(in_zoo, node, event, EAGER), event),
        "zoo, eager": tuned(partial(in_zoo, node, event, CHANNELS_LAST)),
        "zoo, contiguous": tuned(partial(in_zoo, node, event, replace(EAGER, compile=True))),
        "zoo, defaults": tuned(partial(in_zoo, node, event, DEFAULTS)),
    }


RECIPES: Mapping[str, Mapping[str, Recipe]] = {
    "gated": {**_recipes(GATED, BINARY), "by hand": Recipe(by_hand, BINARY)},
    "pixelcnnpp": _recipes(PIXELCNNPP, COLOURS),
}


def images(event: zoo.Event, n: int, draw: torch.Generator) -> Tensor:
    """Levels that are no noise, uint8 ``[n, *shape]``: a wave of its own for each image, and a little noise."""
    C, H, W = event.shape
    phase, pace = torch.rand(2, n, C, 1, 1, generator=draw)
    rows, columns = torch.arange(H).reshape(H, 1), torch.arange(W)
    wave = torch.sin(6.0 * phase + 0.2 * (rows + 2.0 * pace * columns)) + 0.1 * torch.randn(n, C, H, W, generator=draw)
    top = float((event.levels or 2) - 1)
    return (0.5 * (wave + 1.0) * top).round().clamp(0, top).to(torch.uint8)
