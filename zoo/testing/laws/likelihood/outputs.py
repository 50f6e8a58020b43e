"""Decoder outputs and data for the laws of likelihoods."""

from __future__ import annotations

import torch
from torch import Tensor

from ....interfaces.likelihood import Likelihood


def answers(likelihood: Likelihood, n: int, scale: float = 1.0, seed: int = 0) -> Tensor:
    """Seeded float64 answers of a decoder, ``[n, *decoded]``."""
    noise = torch.Generator().manual_seed(seed)
    return scale * torch.randn(n, *likelihood.decoded, generator=noise, dtype=torch.float64)


def answers_each(likelihood: Likelihood, n: int, scale: float = 1.0) -> list[Tensor]:
    """The same, one by one, ``[1, *decoded]`` each."""
    return [h.unsqueeze(0) for h in answers(likelihood, n, scale).unbind(0)]


@torch.no_grad()
def ordinary(likelihood: Likelihood, n: int) -> Tensor:
    """Data of no importance: draws given ordinary answers, first and last level among them."""
    x = drawn(likelihood, answers(likelihood, n, seed=1))
    if likelihood.event.levels is not None:
        x[0], x[-1] = 0, likelihood.event.levels - 1
    return x


@torch.no_grad()
def drawn(likelihood: Likelihood, h: Tensor, temperature: float = 1.0) -> Tensor:
    """Seeded draws, without a trace in the default generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return likelihood.sample(h.shape[0], h, temperature)


def level_axis(likelihood: Likelihood) -> Tensor | None:
    """All data of one number with levels, ``[levels, *event.shape]``; None for other data."""
    event = likelihood.event
    if event.levels is None or event.shape.size != 1:
        return None
    axis = torch.arange(event.levels, dtype=torch.uint8 if event.levels <= 256 else torch.int64)
    return axis.reshape(-1, *event.shape)


def line(likelihood: Likelihood) -> Tensor | None:
    """A fine grid on [-40, 40] for a density of one continuous number, ``[N]``; None for other data."""
    event = likelihood.event
    if not likelihood.density or event.levels is not None or event.shape.size != 1:
        return None
    return torch.linspace(-40.0, 40.0, 20001, dtype=torch.float64)


@torch.no_grad()
def density_on(likelihood: Likelihood, axis: Tensor, h: Tensor) -> Tensor:
    """The density along a `line` given one answer ``[1, *decoded]``, ``[N]``."""
    x = axis.reshape(-1, *likelihood.event.shape)
    return likelihood.log_prob(x, h.expand(axis.numel(), *likelihood.decoded)).exp()


@torch.no_grad()
def probabilities(likelihood: Likelihood, axis: Tensor, h: Tensor) -> Tensor:
    """Those of all levels given one answer ``[1, *decoded]``, ``[levels]``."""
    return likelihood.log_prob(axis, h.expand(axis.shape[0], *likelihood.decoded)).exp()
