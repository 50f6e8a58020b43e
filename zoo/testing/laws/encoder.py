"""Encoders and decoders map one shape to another."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ...interfaces.networks import Decoder, Encoder
from ..errors import distance, require, require_event
from .bijection.contract import traced


@torch.no_grad()
def codes_each_sample_alone(net: Encoder | Decoder) -> None:
    """In evaluation mode an output has the declared shape, and each sample gets the same result as alone."""
    part = copy.deepcopy(net).double().eval()
    x = _inputs(part, 3)
    y = part(x)
    require_event("the output", y, 3, part.out_shape)
    for i in range(3):
        alone = part(x[i : i + 1])
        require_event("the output of one sample", alone, 1, part.out_shape)
        require(distance(alone, y[i : i + 1]) <= 1e-9, "an output depends on the rest of the batch")


@torch.no_grad()
def sees_all_of_its_input(net: Encoder | Decoder) -> None:
    """Each number of the input changes the answer."""
    part = copy.deepcopy(net).double().eval()
    x = _inputs(part, 1)
    # Each in turn is moved far: a rectifier may be shut for a small step.
    for step in (8.0, -8.0):
        moved = part(x + step * torch.eye(x.numel(), dtype=x.dtype).reshape(-1, *part.in_shape))
        unchanged = (moved - part(x)).abs().flatten(1).amax(1) == 0
        require(not unchanged.any(), f"number {int(unchanged.nonzero()[:1].sum())} of the input has no effect")


def gradients_reach_all(net: Encoder | Decoder) -> None:
    """Every parameter has a gradient that is not zero, at the start."""
    part = copy.deepcopy(net).double().train()
    y = part(_inputs(part, 32))
    (torch.linspace(-1.0, 2.0, y.numel(), dtype=y.dtype).view_as(y) * y).sum().backward()
    for name, parameter in part.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.any())
        require(reached, f"no gradient reaches '{name}': use it in forward, and start no two layers in a row at zero")


@torch.no_grad()
def dtype_follows(net: Encoder | Decoder) -> None:
    """In float32 or float64 it answers in that precision."""
    for dtype in (torch.float32, torch.float64):
        part = copy.deepcopy(net).to(dtype).eval()
        y = part(_inputs(part, 2).to(dtype))
        require(y.dtype == dtype, f"in {dtype} the output is {y.dtype}: create tensors in the dtype of the input")


@torch.no_grad()
def compiles(net: Encoder | Decoder) -> None:
    """``torch.compile(fullgraph=True)`` traces it without a graph break."""
    part = copy.deepcopy(net).double().eval()
    x = _inputs(part, 3)
    require(distance(traced("forward", part.forward, x), part(x)) <= 1e-9, "it gives different results when compiled")


def _inputs(net: Encoder | Decoder, n: int) -> Tensor:
    noise = torch.Generator().manual_seed(0)
    return torch.randn(n, *net.in_shape, generator=noise, dtype=torch.float64)
