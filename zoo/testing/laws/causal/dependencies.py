"""Dependencies of a causal model's conditionals on numbers, found by gradients and by other levels."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ....interfaces.causal import Causal
from ....interfaces.model import Condition, map_condition
from .data import event_of, levels_of

ROUNDING = 1e-12
"""How far the same numbers may come out apart."""
PASS = 2**22
"""How many numbers the conditionals of one pass have at most."""


def seeded_conditionals(model: Causal, x: Tensor, context: Condition | None) -> Tensor:
    """The conditionals of data ``[B, *shape]`` as ``[B, D, levels]``, with the same dropout in each call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return model.conditionals(x, context).flatten(1, -2)


def felt(model: Causal, x: Tensor, context: Condition | None) -> Tensor:
    """The dependencies by gradients: booleans ``[D, D]``, a row for each conditional, for data ``[1, *shape]``.

    The data is repeated for each number, so that one backward pass suffices. No dependency is found where
    levels are looked up, or compared: no gradient passes there.
    """
    D, levels = event_of(model).shape.size, levels_of(model)
    weights = torch.randn(levels, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = []
    for numbers in _chunks(D, levels):
        copies = x.double().repeat(numbers.numel(), *[1] * (x.dim() - 1)).requires_grad_()
        log_p = seeded_conditionals(model, copies, _repeated(context, numbers.numel()))
        chosen = log_p[torch.arange(numbers.numel()), numbers] @ weights.to(log_p.dtype)
        gradient = None
        if chosen.requires_grad:
            (gradient,) = torch.autograd.grad(chosen.sum(), copies, allow_unused=True)
        rows.append((torch.zeros_like(copies) if gradient is None else gradient).flatten(1) != 0)
    return torch.cat(rows)


@torch.no_grad()
def changed(model: Causal, x: Tensor, context: Condition | None) -> Tensor:
    """The dependencies by other levels: booleans ``[D, D]`` as in `felt`, for data ``[1, *shape]``.

    Each number is set to the next level and to the one farthest off. What the other levels are compared with is a
    batch of the same size, so that the same noise meets both.
    """
    shape, levels = event_of(model).shape, levels_of(model)
    D = shape.size
    found = torch.zeros(D, D, dtype=torch.bool)
    flat = x.flatten()
    others = torch.stack([(flat.long() + 1) % levels, torch.where(flat.long() * 2 < levels, levels - 1, 0)]).to(x.dtype)
    for numbers in _chunks(D, levels):
        n = numbers.numel()
        repeated = _repeated(context, n)
        base = seeded_conditionals(model, flat.repeat(n, 1).reshape(n, *shape), repeated)
        for values in others[: levels - 1]:
            copies = flat.repeat(n, 1)
            copies[torch.arange(n), numbers] = values[numbers]
            other = seeded_conditionals(model, copies.reshape(n, *shape), repeated)
            same = torch.isclose(base, other, rtol=0.0, atol=ROUNDING).all(-1)  # [n, D]
            found[:, numbers] |= ~same.t()
    return found


@torch.no_grad()
def dependencies_between_examples(model: Causal, x: Tensor, context: Condition | None) -> Tensor:
    """Which conditionals of the first of two examples change with the second: booleans ``[D]``."""
    other = x.clone()
    other[1] = (levels_of(model) - 1 - x[1].long()).to(x.dtype)
    base, changed = (seeded_conditionals(model, at, context)[0] for at in (x, other))
    return ~torch.isclose(base, changed, rtol=0.0, atol=ROUNDING).all(-1)


def _chunks(D: int, levels: int) -> Iterator[Tensor]:
    """The numbers of an event, as many at a time as one pass takes copies of it."""
    rows = max(1, PASS // (D * levels))
    for first in range(0, D, rows):
        yield torch.arange(first, min(first + rows, D))


def _repeated(context: Condition | None, n: int) -> Condition | None:
    return map_condition(lambda x: x.repeat(n, *[1] * (x.dim() - 1)), context)
