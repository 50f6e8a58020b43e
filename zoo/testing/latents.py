"""What a weighting is given in a step of training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..interfaces.capabilities import AfterStep
from ..interfaces.model import Clock
from ..interfaces.weighting import LatentTerms, Weighting

HORIZON = 40
BATCH = 8


def clock_at(step: int, device: str = "cpu") -> Clock:
    """A step of a horizon of 40."""
    return Clock(torch.tensor(step, device=device), HORIZON)


def random_terms(
    weighting: Weighting, seed: int = 0, scale: float = 10.0, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """The nll ``[B]`` and the divergences ``[B, L]`` of a batch: positive, unless the scale is zero."""
    noise = torch.Generator().manual_seed(seed)
    nll = scale * (0.1 + torch.rand(BATCH, generator=noise, dtype=torch.float64))
    kl_dim = scale * (0.1 + torch.rand(BATCH, weighting.latent_size, generator=noise, dtype=torch.float64))
    return nll.to(dtype), kl_dim.to(dtype)


def terms_of(weighting: Weighting, seed: int = 0, dtype: torch.dtype = torch.float64) -> LatentTerms:
    """The terms of a batch."""
    nll, kl_dim = random_terms(weighting, seed, dtype=dtype)
    return LatentTerms(nll, kl_dim.sum(1), kl_dim, 4)


def at(terms: LatentTerms, rows: Tensor) -> LatentTerms:
    """Some examples of a batch."""
    kl_dim = None if terms.kl_dim is None else terms.kl_dim[rows]
    return LatentTerms(terms.nll[rows], terms.kl[rows], kl_dim, terms.size)


def end_step(weighting: Weighting, step: int) -> None:
    """Tell a controller that a step is over."""
    if isinstance(weighting, AfterStep):
        weighting.after_step(clock_at(step))


def take_step(
    weighting: Weighting, step: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """A step of training with a batch of its own: the loss and the weights."""
    loss, weights = weighting(terms_of(weighting, step, dtype), clock_at(step))
    end_step(weighting, step)
    return loss, weights


def state_of(weighting: Weighting) -> dict[str, Tensor]:
    """Copies of all parameters and buffers, saved or not."""
    return {name: x.detach().clone() for name, x in (*weighting.named_parameters(), *weighting.named_buffers())}
