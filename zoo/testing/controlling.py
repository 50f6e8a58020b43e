"""A weighting moves only when it is told that a step is over, and its state is all that it remembers."""

from __future__ import annotations

import copy

import torch

from ..interfaces.capabilities import AfterStep
from ..interfaces.model import Clock
from ..interfaces.weighting import LatentTerms, Weighting
from .broken import LawBroken, require
from .latents import BATCH, HORIZON, at, clock_at, end_step, state_of, take_step, terms_of
from .weightings import near


@torch.no_grad()
def evaluation_keeps_state(weighting: Weighting) -> None:
    """In evaluation mode ``forward`` changes no parameter and no buffer, saved or not."""
    weighting.eval()
    before = state_of(weighting)
    weighting(terms_of(weighting), clock_at(3))
    for name, value in state_of(weighting).items():
        require(torch.equal(value, before[name]), f"forward changes '{name}' in evaluation: ask for self.training")


@torch.no_grad()
def forward_waits_for_the_step(weighting: Weighting) -> None:
    """The same terms in the same step give the same numbers, however often: only ``after_step`` moves the weights."""
    for step in range(3):
        terms, clock = terms_of(weighting, seed=step), clock_at(step)
        first, again = weighting(terms, clock), weighting(terms, clock)
        same = all(torch.equal(value, again[1][name]) for name, value in first[1].items())
        require(same and torch.equal(first[0], again[0]), "forward moves the weights: move them in after_step")
        end_step(weighting, step)


@torch.no_grad()
def acts_once_a_step(weighting: Weighting) -> None:
    """Two parts of a batch, of unlike sizes, leave the state that the whole leaves."""
    if not isinstance(weighting, AfterStep):
        return
    parts = copy.deepcopy(weighting)
    for step in range(3):
        terms = terms_of(weighting, seed=step)
        weighting(terms, clock_at(step))
        for rows in torch.split(torch.arange(BATCH), [3, BATCH - 3]):
            parts(at(terms, rows), clock_at(step))
        end_step(weighting, step)
        end_step(parts, step)
        state = state_of(parts)
        for name, value in state_of(weighting).items():
            require(
                near(value, state[name]),
                f"a batch in two parts leaves another '{name}': average over a step's examples, forget them after it",
            )


@torch.no_grad()
def state_resumes(weighting: Weighting) -> None:
    """Another one goes on to the very same numbers from the state dictionary of some step."""
    other = copy.deepcopy(weighting)
    for step in range(HORIZON // 2):
        take_step(weighting, step)
    other.load_state_dict(weighting.state_dict())
    for step in range(HORIZON // 2, HORIZON // 2 + 8):
        (ours, weights), (theirs, others) = take_step(weighting, step), take_step(other, step)
        same = torch.equal(ours, theirs) and all(torch.equal(value, others[name]) for name, value in weights.items())
        require(same, f"step {step} differs after load_state_dict: keep the state in parameters and persistent buffers")


@torch.no_grad()
def waits_for_no_value(weighting: Weighting) -> None:
    """``forward`` and ``after_step`` run on the meta device: the CPU need not wait for another device's values."""
    part = copy.deepcopy(weighting).to("meta")
    nll, kl, kl_dim, size = terms_of(weighting)
    terms = LatentTerms(nll.to("meta"), kl.to("meta"), None if kl_dim is None else kl_dim.to("meta"), size)
    clock = Clock(torch.zeros((), dtype=torch.int64, device="meta"), HORIZON)
    try:
        part(terms, clock)
        if isinstance(part, AfterStep):
            part.after_step(clock)
    except (NotImplementedError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise LawBroken(f"it asks for a tensor's value: take torch.where, and no .item() ({reason})") from None
