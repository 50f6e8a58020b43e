"""Conditioners start at zero and map one shape to another."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ...interfaces.networks import Conditioner
from ..errors import distance, require, require_event
from ..perturb import perturb
from .bijection.contract import traced


@torch.no_grad()
def starts_at_zero(conditioner: Conditioner) -> None:
    """A new conditioner outputs zero, so that the conditioned part starts as its neutral element."""
    y = conditioner(_events(conditioner, 3))
    require_event("the output", y, 3, conditioner.out_shape)
    require(not y.any(), "the output of a new conditioner is not zero: start weight and bias of the last layer at zero")


def learns_from_zero(conditioner: Conditioner) -> None:
    """At its start some parameter has a gradient: two zeros in a row would never leave zero."""
    for parameter in conditioner.parameters():
        parameter.grad = None
    conditioner(_events(conditioner, 3)).sum().backward()
    gradients = [parameter.grad for parameter in conditioner.parameters() if parameter.grad is not None]
    require(any(g.any() for g in gradients), "every gradient is zero at the start: only the last layer may be zero")


@torch.no_grad()
def answers_each_sample_alone(conditioner: Conditioner) -> None:
    """In evaluation mode an answer depends on its own sample alone and on all of that sample's channels."""
    part = _livened(conditioner)
    x = _events(conditioner, 3)
    error = distance(part(x)[:1], part(x[:1]))
    require(error <= 1e-10, "an output depends on the rest of the batch")
    for channel in range(x.shape[1]):
        moved = x.clone()
        moved[:, channel] += 1.0
        require(distance(part(moved), part(x)) > 0, f"channel {channel} of the input has no effect")


@torch.no_grad()
def compiles(conditioner: Conditioner) -> None:
    """``torch.compile(fullgraph=True)`` traces it without a graph break."""
    part = _livened(conditioner)
    x = _events(conditioner, 3)
    require(distance(traced("forward", part.forward, x), part(x)) <= 1e-10, "it gives different results when compiled")


def _livened(conditioner: Conditioner) -> Conditioner:
    part = copy.deepcopy(conditioner).double().eval()
    perturb(part, seed=0)
    return part


def _events(conditioner: Conditioner, n: int) -> Tensor:
    noise = torch.Generator().manual_seed(0)
    conditioner.double()
    return torch.randn(n, *conditioner.in_shape, generator=noise, dtype=torch.float64)
