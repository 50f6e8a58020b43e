"""An image Glow of three levels, in zoo and in normflows.

Each step is an activation normalisation, an invertible 1x1 convolution in PLU factors and an affine coupling whose
network has kernels of 3, 1 and 3; half of the channels leave after a level, for a fixed standard normal base without a
learned prior. They differ in this: zoo's networks have an activation normalisation after each hidden convolution
(normflows' can, and are slower then); normflows keeps the L and U of a 1x1 convolution in two full matrices, and
applies its step in the opposite order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

import zoo

from .contender import Contender
from .declared import declared_flow


@dataclass(frozen=True)
class Size:
    """Of a Glow on images ``[B, channels, side, side]``."""

    channels: int
    side: int
    levels: int
    steps: int
    width: int


def in_zoo(size: Size) -> Contender:
    """The flow in zoo."""
    net = {"type": "convnet", "width": size.width}
    step: list[dict[str, Any]] = [
        {"type": "act_norm"},
        {"type": "conv1x1"},
        {"type": "coupling", "mask": "channel", "conditioner": net},
    ]
    level = [{"type": "squeeze"}, *step * size.steps]
    transforms = level
    for _ in range(size.levels - 1):
        transforms = [*level, {"type": "factor_out", "then": transforms}]
    return declared_flow(zoo.Shape(size.channels, size.side, size.side), transforms)


def normflows(size: Size) -> Contender:
    """Its lists run from latent to data: the smallest level first."""
    library = import_module("normflows")
    bases, levels, merges = [], [], []
    for left in range(size.levels, 0, -1):  # how often this level has been squeezed
        channels, side = size.channels * 2 ** (left + 1), size.side // 2**left
        blocks = [library.flows.GlowBlock(channels, size.width) for _ in range(size.steps)]
        levels.append([*blocks, library.flows.Squeeze()])
        smallest = left == size.levels
        shape = (channels if smallest else channels // 2, side, side)
        bases.append(library.distributions.DiagGaussian(shape, trainable=False))
        merges += [] if smallest else [library.flows.Merge()]
    flow = library.MultiscaleFlow(bases, levels, merges, class_cond=False)

    def sample(n: int) -> Tensor:
        x: Tensor = flow.sample(n)[0]
        return x

    return Contender(flow, flow.forward_kld, sample)


def channels_last(build: Callable[[Size], Contender], size: Size) -> Contender:
    """With the weights of its convolutions in the format that ``engine.channels_last`` gives them."""
    contender = build(size)
    contender.module.to(memory_format=torch.channels_last)
    return contender


PEERS: Mapping[str, Callable[[Size], Contender]] = {"normflows": normflows}
"""By the name of the module that has to be there."""
