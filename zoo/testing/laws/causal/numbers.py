"""The conditionals of a causal model are probabilities, and its likelihood is their product."""

from __future__ import annotations

import copy
from operator import itemgetter

import torch
from torch import nn

from ....interfaces.causal import Causal
from ....interfaces.model import Condition, map_condition
from ...errors import LawBroken, distance, require, require_per_sample
from ..bijection.contract import traced
from .data import all_data, context_for, event_of, expanded, levels_of, random_data, shown

EXACT = 1e-9


@torch.no_grad()
def log_prob_is_sum_of_conditionals(model: Causal) -> None:
    """``log_prob`` is the sum of the ``conditionals`` at the levels of the data, whatever the dtype of the levels."""
    x, context = random_data(model, 4), context_for(model, 4)
    log_p, total = model.conditionals(x, context), model.log_prob(x, context)
    wanted = [4, *event_of(model).shape, levels_of(model)]
    require(list(log_p.shape) == wanted, f"conditionals have shape {list(log_p.shape)}: return {wanted}, levels last")
    require_per_sample("log_prob", total, 4)
    summed = log_p.gather(-1, x.long().unsqueeze(-1)).flatten(1).sum(1)
    error = distance(summed, total)
    require(
        error <= EXACT, f"log_prob and the sum of the conditionals differ by {error:.3g}: score by the same numbers"
    )
    for dtype in (torch.int64, torch.float64):
        error = distance(model.conditionals(x.to(dtype), context), log_p)
        require(error <= EXACT, f"levels of {dtype} have different conditionals: compare and look up by value")


@torch.no_grad()
def normalises(model: Causal) -> None:
    """The probabilities of a number's levels sum to one, and those of all data, if it is small enough to count."""
    x, context = random_data(model, 4), context_for(model, 4)
    totals = model.conditionals(x, context).exp().sum(-1).flatten(1)
    wrong = (totals - 1.0).abs().nan_to_num(nan=float("inf")).amax(0)
    number = int(wrong.argmax())
    require(
        wrong.max() <= EXACT,
        f"the probabilities of the levels at {shown(number, event_of(model).shape)} do not sum to one, they are off by "
        f"{float(wrong.max()):.3g}: count each level once, the first and the last with their tails",
    )
    every = all_data(model)
    if every is None:
        return
    condition = expanded(context_for(model, 1), every.shape[0])
    total = float(model.log_prob(every, condition).exp().sum())
    require(abs(total - 1.0) <= EXACT, f"the probabilities of all data sum to {total:.9g}, expected 1")


@torch.no_grad()
def answers_each_example_alone(model: Causal) -> None:
    """In evaluation mode a batch gives each example the conditionals and the likelihood that it gets alone."""
    x, context = random_data(model, 4), context_for(model, 4)
    for name, method in (("conditionals", model.conditionals), ("log_prob", model.log_prob)):
        among = method(x, context)
        for i in range(4):
            rows = slice(i, i + 1)
            error = distance(method(x[rows], map_condition(itemgetter(rows), context))[0], among[i])
            require(error <= EXACT, f"{name} of an example change by {error:.3g} with the rest of its batch")


@torch.no_grad()
def depends_on_its_context(model: Causal) -> None:
    """The conditional of each number changes with the context."""
    if context_for(model, 1) is None:
        return
    x = random_data(model, 8)
    before, after = (model.conditionals(x, context_for(model, 8, first)) for first in (0, 1))
    deaf = torch.isclose(before, after, rtol=0.0, atol=1e-12).all(-1).flatten(1).all(0)
    if deaf.any():
        first = shown(int(deaf.nonzero()[0]), event_of(model).shape)
        raise LawBroken(
            f"the conditional of {first} does not depend on the context: pass the context to a part that uses it"
        )


@torch.no_grad()
def dtype_follows(model: Causal) -> None:
    """In float32 or float64 it answers in that precision; under bfloat16 autocast in at least float32."""
    x, context = random_data(model, 3), context_for(model, 3)
    for dtype in (torch.float32, torch.float64):
        part, given = _to(model, dtype), _of_dtype(context, dtype)
        answers = (part.log_prob(x, given), part.conditionals(x, given), part.uniforms(3))
        found = {str(answer.dtype) for answer in answers}
        require(
            found == {str(dtype)}, f"in {dtype} the outputs are {', '.join(sorted(found))}: use the parameters' dtype"
        )
    part, given = _to(model, torch.float32), _of_dtype(context, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        require_per_sample("log_prob under autocast", part.log_prob(x, given), 3)


@torch.no_grad()
def runs_on_meta(model: Causal) -> None:
    """It scores on the meta device, where a spec's shapes are checked before any memory is touched."""
    x, context = random_data(model, 3), context_for(model, 3)
    part = copy.deepcopy(model)
    if isinstance(part, nn.Module):
        part.to("meta")
    given = map_condition(lambda x: x.to("meta"), context)
    try:
        log_prob, log_p = part.log_prob(x.to("meta"), given), part.conditionals(x.to("meta"), given)
    except (NotImplementedError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise LawBroken(f"it does not run on the meta device: do not read tensor values ({reason})") from None
    require_per_sample("log_prob on the meta device", log_prob, 3)
    require(log_p.shape[-1] == levels_of(model), "on the meta device conditionals have a different shape")


@torch.no_grad()
def compiles(model: Causal) -> None:
    """``torch.compile(fullgraph=True)`` traces ``log_prob`` without a graph break."""
    x, context = random_data(model, 3), context_for(model, 3)
    error = distance(traced("log_prob", model.log_prob, x, context), model.log_prob(x, context))
    require(error <= EXACT, f"log_prob is off by {error:.3g} when compiled")


def _to(model: Causal, dtype: torch.dtype) -> Causal:
    other = copy.deepcopy(model)
    if isinstance(other, nn.Module):
        other.to(dtype)
    return other


def _of_dtype(context: Condition | None, dtype: torch.dtype) -> Condition | None:
    return map_condition(lambda x: x.to(dtype) if x.is_floating_point() else x, context)
