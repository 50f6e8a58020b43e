"""Data, contexts and names of numbers for the laws of causal models."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ....event import Event
from ....interfaces.causal import Causal
from ....interfaces.model import Condition, Model, map_condition
from ....shape import Shape

MOST = 4096
"""How much data an event may have for laws that look at all of it."""


def event_of(model: Causal) -> Event:
    """The event of the model: a causal model is a `zoo.Model`, or is built with an event all the same."""
    event: Event = model.event  # type: ignore[attr-defined]
    return event


def levels_of(model: Causal) -> int:
    """The number of values of a number of the model's data."""
    return event_of(model).levels or 0


def random_data(model: Causal, n: int, seed: int = 0) -> Tensor:
    """Seeded levels, in the form of the model's data: ``[n, *shape]``."""
    noise = torch.Generator().manual_seed(seed)
    levels = levels_of(model)
    x = torch.randint(levels, (n, *event_of(model).shape), generator=noise)
    return x.to(torch.uint8) if levels <= 256 else x


def all_data(model: Causal) -> Tensor | None:
    """All possible data, once each; None if there are too many."""
    event, levels = event_of(model), levels_of(model)
    if levels**event.shape.size > MOST:
        return None
    x = torch.cartesian_prod(*[torch.arange(levels)] * event.shape.size).reshape(-1, *event.shape)
    return x.to(torch.uint8)


def context_for(model: Causal, n: int, first: int = 0) -> Condition | None:
    """The condition of ``n`` examples, from the example of that number on; None for an unconditional model."""
    batch = event_of(model).example(first + n, "cpu")
    condition = {name: batch[name][first:] for name in _conditions(model)} or None
    return map_condition(lambda x: x.double() if x.is_floating_point() else x, condition)


def expanded(condition: Condition | None, n: int) -> Condition | None:
    """The condition of one example for ``n`` of them."""
    return map_condition(lambda x: x.expand(n, *x.shape[1:]), condition)


def context_is_known(model: Causal) -> bool:
    """Whether the event describes all entries of the model's condition."""
    return event_of(model).entries.keys() >= {*_conditions(model)}


def _conditions(model: Causal) -> tuple[str, ...]:
    return model.conditions if isinstance(model, Model) else ()


def uniforms(model: Causal, n: int, seed: int = 0) -> Tensor:
    """Seeded uniform numbers of ``n`` samples, without using the default generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model.uniforms(n)


def modes(model: Causal) -> Iterator[tuple[str, Causal]]:
    """The model in each mode, with a name for it; the model itself is unchanged."""
    for mode, training in (("evaluation", False), ("training", True)):
        other = copy.deepcopy(model)
        if isinstance(other, nn.Module):
            other.train(training)
        yield mode, other


def place(number: int, shape: Shape) -> tuple[int, ...]:
    """The place of a number in an event: channel, row and column of an image.

    >>> place(5, Shape(1, 2, 3))
    (0, 1, 2)
    """
    found = []
    for size in reversed(tuple(shape)):
        found.append(number % size)
        number //= size
    return tuple(reversed(found))


def shown(number: int, shape: Shape) -> str:
    """The place as a message names it.

    >>> shown(5, Shape(1, 2, 3)), shown(5, Shape(7))
    ('(0, 1, 2)', '(5)')
    """
    return f"({', '.join(map(str, place(number, shape)))})"
