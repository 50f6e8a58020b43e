"""State of a likelihood, and when it changes."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ....interfaces.capabilities import RunningStatistics
from ....interfaces.likelihood import Likelihood
from ...errors import distance, require
from ...perturb import perturb
from ..bijection.contract import averages
from .outputs import answers, ordinary


@torch.no_grad()
def state_is_complete(likelihood: Likelihood) -> None:
    """A likelihood of the same declaration gives the very same numbers once it has loaded the state."""
    trained = copy.deepcopy(likelihood).train()
    perturb(trained, seed=1)
    x, h = ordinary(likelihood, 4), answers(likelihood, 4, 3.0)
    trained.log_prob(x, h)
    other = _another(likelihood)
    other.load_state_dict(trained.state_dict())
    require(
        torch.equal(trained.eval().log_prob(x, h), other.log_prob(x, h)),
        "the state dictionary does not restore log_prob: register what it uses as a parameter or a persistent buffer",
    )


def _another(likelihood: Likelihood) -> Likelihood:
    declared = likelihood.__dict__.get("declaration")
    other = copy.deepcopy(likelihood) if declared is None else declared(likelihood.event)
    for buffer in other.buffers() if declared is None else ():
        buffer.add_(1)
    return other.double().eval()


@torch.no_grad()
def scoring_keeps_state(likelihood: Likelihood) -> None:
    """``log_prob``, ``mean`` and ``draw`` change no state, but for the buffers of running statistics when training
    data is scored."""
    x, h = ordinary(likelihood, 4), answers(likelihood, 4, 3.0)
    for training in (False, True):
        part = copy.deepcopy(likelihood).train(training)
        before = {name: value.clone() for name, value in part.state_dict().items()}
        part.mean(h), part.draw(h, part.noise(4))
        _require_same(part, before, set())
        part.log_prob(x, h)
        _require_same(part, before, averages(part) if training else set())


def _require_same(part: Likelihood, before: dict[str, Tensor], but: set[str]) -> None:
    for name, value in part.state_dict().items():
        require(
            name in but or torch.equal(value, before[name]),
            f"'{name}' changes: average only in log_prob, in training mode and in buffers (zoo.RunningStatistics)",
        )


@torch.no_grad()
def reset_forgets(likelihood: Likelihood) -> None:
    """After ``reset`` two training batches count equally, whatever came before and in whichever order they come."""
    if not isinstance(likelihood, RunningStatistics):
        return
    one, other = _averaged(likelihood, 1, (1.0, 3.0)), _averaged(likelihood, 4, (3.0, 1.0))
    for name, value in one.items():
        require(
            distance(value, other[name]) <= 1e-9,
            f"'{name}' depends on the order of batches after reset, or on what came before it: clear all state in "
            "reset, and weight the first batches by one over their number",
        )


def _averaged(likelihood: Likelihood, before: int, scales: tuple[float, ...]) -> dict[str, Tensor]:
    part = copy.deepcopy(likelihood).train()
    x = ordinary(part, 4)
    for _ in range(before):
        part.log_prob(x, answers(part, 4, scales[0]))
    part.reset()  # type: ignore[operator]
    for scale in scales:
        part.log_prob(x, answers(part, 4, scale))
    return {name: part.state_dict()[name].double() for name in averages(part)}
