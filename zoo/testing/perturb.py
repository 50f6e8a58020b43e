"""Perturbation of a component as by training: nothing is zero, the identity or an initial statistic any more."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..interfaces.bijection import Bijection
from ..interfaces.capabilities import DataDependent, RunningStatistics
from ..interfaces.model import Model
from .laws.weighting import clock_at


def perturb(module: nn.Module, seed: int, scale: float = 0.2) -> None:
    """Add seeded normal noise to every parameter, so that layers that start at zero do something."""
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=noise, dtype=parameter.dtype))


def inputs(bijection: Bijection, n: int, seed: int = 0) -> Tensor:
    """``n`` float64 events in the bijection's domain: the real line, or the open interval of its ``domain``."""
    noise = torch.Generator().manual_seed(seed)
    x = torch.randn(n, *bijection.shape, generator=noise, dtype=torch.float64)
    # Nothing that is symmetric or standardised to begin with: that would hide shifts and scales left out.
    x = 0.3 + 1.5 * x
    domain = bijection.domain
    return x if domain is None else domain[0] + (domain[1] - domain[0]) * torch.sigmoid(x)


def liven(bijection: Bijection, seed: int = 0) -> Bijection:
    """The bijection in float64 and evaluation mode: initialised from data, perturbed, with collected averages."""
    bijection.double()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        initialize(bijection, inputs(bijection, 32, seed))
        perturb(bijection, seed)
        for part in bijection.modules():
            if isinstance(part, RunningStatistics):
                part.reset()
        bijection.train()
        for batch in range(3):
            bijection(inputs(bijection, 32, seed + batch))
    return bijection.eval()


def liven_model(model: Model, seed: int = 0) -> Model:
    """The model in float64 and evaluation mode, initialised from data and perturbed: layers that start at zero too."""
    model.double()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        batch = model.event.example(8, "cpu")
        initialize(model, {name: x.double() if x.is_floating_point() else x for name, x in batch.items()}, clock_at(0))
        perturb(model, seed)
    return model.eval()


def initialize(module: nn.Module, *args: Any) -> None:
    """Run a module once as training does before step 0: each data-dependent part starts from its own input."""

    def start(part: nn.Module, given: tuple[Any, ...]) -> None:
        part.initialize(*given)  # type: ignore[operator]

    hooks = [part.register_forward_pre_hook(start) for part in module.modules() if isinstance(part, DataDependent)]
    try:
        with torch.no_grad():
            module(*args)
    finally:
        for hook in hooks:
            hook.remove()
