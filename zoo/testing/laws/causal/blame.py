"""The first declared part of a causal model whose output depends on what it must not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ....interfaces.causal import Causal
from ....interfaces.model import Condition
from ....registry.part import Part
from .data import context_for, event_of, levels_of, modes, place, random_data
from .dependencies import ROUNDING, seeded_conditionals


class Leak(NamedTuple):
    """A forbidden dependency of a conditional: on a number, or, for None, on another example."""

    mode: str
    number: int
    of: int | None


Answers = list[tuple[nn.Module, list[Tensor]]]
"""What each declared part returned, the innermost first, in the order of execution."""


@torch.no_grad()
def blamed(model: Causal, leak: Leak) -> Part[Any] | None:
    """The declaration of the first part whose output shows the leak; None if it cannot be determined.

    Parts that keep the places of the event answer for the place of the number: what is drawn after all of that place
    must not change what they say there, unless they are data in other numbers: what they say of the last place, they
    say from that place alone. Among the channels of one place a part may have an order of its own, and is not judged.
    """
    if not isinstance(model, nn.Module):
        return None
    ranks, shape = model.ranks(), tuple(event_of(model).shape)
    site = place(leak.number, event_of(model).shape)[-(len(shape) - 1 or 1) :]
    if leak.of is not None and ranks[leak.of] < _at(ranks.reshape(shape), site).max():
        return None
    sizes = shape[-len(site) :]
    last = tuple(size - 1 for size in sizes)
    at = _first_example if leak.of is None else _site(sizes, site)
    part = dict(modes(model))[leak.mode]
    for seed in range(3):
        x, context = random_data(part, 2, seed), context_for(part, 2, seed)
        base = _answers(part, x, context)
        now = _answers(part, _changed(part, x, leak.of), context)
        elsewhere = _answers(part, _changed_but(part, x, last), context)
        for (module, ours), (_, theirs), (_, others) in zip(base, now, elsewhere, strict=True):
            if _differ(ours, theirs, at) and (leak.of is None or _differ(ours, others, _site(sizes, last))):
                declared: Part[Any] = module.declaration  # type: ignore[assignment]
                return declared
    return None


def _answers(model: Causal, x: Tensor, context: Condition | None) -> Answers:
    found: Answers = []

    def keep(module: nn.Module, given: Any, answer: Any) -> None:
        answers = answer if isinstance(answer, tuple) else (answer,)
        found.append((module, [part for part in answers if isinstance(part, Tensor)]))

    parts = [part for part in model.modules() if getattr(part, "declaration", None) is not None]  # type: ignore[attr-defined]
    hooks = [part.register_forward_hook(keep) for part in parts]
    try:
        seeded_conditionals(model, x, context)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _changed(model: Causal, x: Tensor, of: int | None) -> Tensor:
    """Another level for one number of the first example, or, for None, for all of the second."""
    other = x.clone().flatten(1)
    where = (1, slice(None)) if of is None else (0, of)
    other[where] = _next(model, other[where])
    return other.reshape(x.shape)


def _changed_but(model: Causal, x: Tensor, site: tuple[int, ...]) -> Tensor:
    """Other levels at all places but one."""
    other = _next(model, x)
    _at(other, site).copy_(_at(x, site))
    return other


def _next(model: Causal, x: Tensor) -> Tensor:
    return ((x.long() + 1) % levels_of(model)).to(x.dtype)


def _first_example(answer: Tensor) -> Tensor | None:
    return answer[0] if answer.dim() > 1 and answer.shape[0] == 2 else None


def _site(sizes: tuple[int, ...], site: tuple[int, ...]) -> Callable[[Tensor], Tensor | None]:
    """The part of an output for a place of the first example; None for an output without places."""

    def at(answer: Tensor) -> Tensor | None:
        keeps = answer.dim() > len(sizes) and tuple(answer.shape[-len(sizes) :]) == sizes
        return _at(answer[0], site) if keeps else None

    return at


def _at(x: Tensor, site: tuple[int, ...]) -> Tensor:
    """A view of a place, ``[..., *sizes] -> [...]``."""
    for index in reversed(site):
        x = x.select(-1, index)
    return x


def _differ(ours: list[Tensor], theirs: list[Tensor], at: Callable[[Tensor], Tensor | None]) -> bool:
    pairs = [(at(a), at(b)) for a, b in zip(ours, theirs, strict=True)]
    return any(a is not None and b is not None and not torch.allclose(a, b, rtol=0.0, atol=ROUNDING) for a, b in pairs)
