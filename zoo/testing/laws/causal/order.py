"""Laws of the order of causal models: no dependency on later numbers, and all declared ones on earlier numbers."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ....interfaces.causal import Causal
from ....interfaces.model import map_condition
from ....shape import Shape
from ...errors import LawBroken, require
from ...perturb import perturb
from .blame import Leak, blamed
from .data import context_for, event_of, modes, random_data, shown
from .dependencies import changed, dependencies_between_examples, felt

INPUTS = 2
"""Data on which leaks are looked for."""
TRIES = 64
"""Data and weights on which what should be seen is looked for: units that are dead in some hide what passes them."""


def nothing_leaks(model: Causal) -> None:
    """No conditional changes with a number that is drawn after it or with it, its own included, nor with another
    example of the batch: by gradients and by other levels, in training and evaluation mode."""
    leak = leak_of(model)
    if leak is None:
        return
    shape, by = event_of(model).shape, blamed(model, leak)
    where = f"in {leak.mode} mode the conditional of {shown(leak.number, shape)}"
    if leak.of is None:
        raise LawBroken(f"{where} changes with another example of the batch: remove batch statistics", by)
    raise LawBroken(
        f"{where} changes with {_the_other(model, leak.number, leak.of, shape)}: mask it in the computation of its "
        "parameters, or return another order from ranks()",
        by,
    )


def leak_of(model: Causal) -> Leak | None:
    """The first leak in the order of the model; None without one."""
    ranks = checked_ranks(model)
    unknown = ranks >= ranks.unsqueeze(1)  # row i: what is not known when number i is drawn
    for mode, part in modes(model):
        for seed in range(INPUTS):
            x, context = random_data(part, 2, seed), context_for(part, 2, seed)
            among = dependencies_between_examples(part, x, context)
            if among.any():
                return Leak(mode, _first(among, ranks), None)
            first = map_condition(lambda x: x[:1], context)
            leaks = (changed(part, x[:1], first) | felt(part, x[:1], first)) & unknown
            if leaks.any():
                number = _first(leaks.any(1), ranks)
                return Leak(mode, number, _first(leaks[number], ranks))
    return None


def past_is_seen(model: Causal) -> None:
    """The conditionals depend exactly on what ``sees`` declares, over many data and weights."""
    shape = event_of(model).shape
    ranks, declared = checked_ranks(model), model.sees()
    past = ranks < ranks.unsqueeze(1)
    require(
        declared.dtype == torch.bool and declared.shape == past.shape,
        f"sees() is {declared.dtype} {list(declared.shape)}: return booleans {list(past.shape)}",
    )
    require(
        not (declared & ~past).any(), "sees() declares a number that is drawn later: restrict it to what ranks() allow"
    )
    found = torch.zeros_like(past)
    part = model
    for seed in range(TRIES):
        x, context = random_data(part, 1, seed), context_for(part, 1, seed)
        found |= (changed(part, x, context) | felt(part, x, context)) & past
        if torch.equal(found, declared) or (found & ~declared).any():
            break
        part = copy.deepcopy(model)
        if isinstance(part, nn.Module):
            perturb(part, seed, scale=0.5)
    if torch.equal(found, declared):
        return
    number = _first((found ^ declared).any(1), ranks)
    missing, unexpected = declared[number] & ~found[number], found[number] & ~declared[number]
    raise LawBroken(
        f"the conditional of {shown(number, shape)} {_differs(missing, unexpected, shape)}: make sees() agree with "
        "what the layers do"
    )


def checked_ranks(model: Causal) -> Tensor:
    """The ranks; LawBroken unless they are one number for each of the event, on the CPU."""
    ranks, D = model.ranks(), event_of(model).shape.size
    require(
        ranks.dtype == torch.int64 and list(ranks.shape) == [D] and ranks.device.type == "cpu",
        f"ranks() is {ranks.dtype} {list(ranks.shape)} on {ranks.device.type}: return int64 [{D}] on the CPU",
    )
    return ranks


def _first(where: Tensor, ranks: Tensor) -> int:
    """The number of least rank among those that are marked."""
    marked = where.nonzero().squeeze(1)
    return int(marked[ranks[marked].argmin()])


def _the_other(model: Causal, number: int, of: int, shape: Shape) -> str:
    if of == number:
        return "its own number"
    ranks = model.ranks()
    when = "with" if ranks[of] == ranks[number] else "after"
    return f"the number at {shown(of, shape)}, which is drawn {when} it"


def _differs(missing: Tensor, unexpected: Tensor, shape: Shape) -> str:
    """The difference of found and declared dependencies, in words."""
    sides = []
    if missing.any():
        sides.append(f"is declared to depend on {_listed(missing, shape)}, but does not")
    if unexpected.any():
        sides.append(f"depends on {_listed(unexpected, shape)}, but is not declared to")
    return "; it ".join(sides)


def _listed(where: Tensor, shape: Shape) -> str:
    numbers = where.nonzero().squeeze(1).tolist()
    rest = f" and {len(numbers) - 4} more" if len(numbers) > 4 else ""
    return ", ".join(shown(number, shape) for number in numbers[:4]) + rest
