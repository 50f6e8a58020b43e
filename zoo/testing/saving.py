"""The state dictionary holds all that matters."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ..interfaces.bijection import Bijection
from .broken import require
from .given import GivenBijection
from .liven import perturb


@torch.no_grad()
def state_is_complete(bijection: Bijection, x: Tensor) -> None:
    """A component of the same declaration gives the very same numbers once it has loaded the state."""
    other = _another(bijection)
    perturb(other, seed=1)
    other.load_state_dict(bijection.state_dict())
    for ours, theirs in zip(bijection(x), other(x), strict=True):
        require(
            torch.equal(ours, theirs),
            "the state dictionary does not restore the outputs: register what forward uses as a parameter or a "
            "persistent buffer",
        )


def _another(bijection: Bijection) -> Bijection:
    """The component built again by other draws: only what its declaration decides is the same."""
    if isinstance(bijection, GivenBijection):
        return GivenBijection(_another(bijection.of), torch.zeros_like(bijection.context)).eval()
    declared = bijection.__dict__.get("declaration")
    if declared is None:
        other = copy.deepcopy(bijection)
        for buffer in other.buffers():
            buffer.add_(1)
        return other
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        built: Bijection = declared(bijection.shape)
    return built.to(next(bijection.parameters(), torch.zeros((), dtype=torch.float64)).dtype).eval()
