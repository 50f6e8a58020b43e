"""Declared models on little data: enough for laws, and few enough numbers for laws that look at each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from ..assembly.build import event_of
from ..assembly.imports import plain_imports
from ..errors import SpecError
from ..event import Event
from ..interfaces.causal import Causal
from ..interfaces.component import kind_of
from ..interfaces.model import Model
from ..registry.part import Part, example_of
from ..registry.registry import declare, installed
from ..shape import Shape
from ..spec import Spec, load_spec, shipped_specs
from .cases import Case, takes
from .errors import LawBroken

SIDES = ((6, 5), (6, 6), (8, 8), (4, 4))
"""Height and width of little images; some networks halve them, or want squares."""
LEVELS = 17
CAUSAL_EVENTS = (
    Event("row", Shape(5), levels=3),
    Event("image", Shape(1, 4, 6), levels=2, classes=10),
    Event("image", Shape(3, 4, 4), levels=4, classes=10),
)


def small_events(event: Event) -> Iterator[Event]:
    """Data of the same kind with fewer numbers and levels, the best first, and at last the data itself.

    >>> [str(small.shape) for small in small_events(Event("image", Shape(3, 28, 28), levels=256))]
    ['3x6x5', '3x6x6', '3x8x8', '3x4x4', '3x28x28', '3x28x28']
    """
    C, *sizes = event.shape
    levels = None if event.levels is None else min(event.levels, LEVELS)
    if levels is not None and event.padding is not None:
        event = replace(event, padding=min(event.padding, levels - 1))
    for sides in SIDES if len(sizes) == 2 else ():
        shape = Shape(C, *(min(pair) for pair in zip(sides, sizes, strict=True)))
        yield replace(event, shape=shape, levels=levels)
    if not sizes:
        yield replace(event, shape=Shape(min(C, 7)), levels=levels)
    yield replace(event, levels=levels)
    yield event


def countable_events(event: Event) -> Iterator[Event]:
    """Data of the same kind, so little that a law can count all that there is.

    >>> [f"{small.shape}of{small.levels}" for small in countable_events(Event("image", Shape(3, 28, 28), levels=256))]
    ['1x2x3of2', '1x2x2of3', '3x1x2of2']
    """
    if len(event.shape) == 1:
        yield replace(event, shape=Shape(5), levels=2)
        yield replace(event, shape=Shape(4), levels=3)
        return
    yield replace(event, shape=Shape(1, 2, 3), levels=2)
    yield replace(event, shape=Shape(1, 2, 2), levels=3)
    if 1 < event.shape[0] <= 6:
        yield replace(event, shape=Shape(event.shape[0], 1, 2), levels=2)


def shrunk(label: str, part: Part[Model], event: Event) -> Case:
    """A model on the first of `small_events` that it takes; on the data itself if it takes none, with the reason."""
    cases = (Case(label, part, (small,)) for small in small_events(event))
    return next((case for case in cases if takes(case)), Case(label, part, (event,)))


def countable(label: str, part: Part[Model], event: Event) -> Iterator[Case]:
    """A model on each of `countable_events` that it takes."""
    yield from (case for small in countable_events(event) if takes(case := Case(label, part, (small,))))


def parts_of(model: Model, capability: type) -> dict[str, Any]:
    """The modules of a model that can do something, itself among them, by their paths."""
    return {path: module for path, module in model.named_modules() if isinstance(module, capability)}


def declares(spec: Spec, capability: type) -> bool:
    """Whether a spec's model, or a part of it, can do something; no memory is touched."""
    event = event_of(spec)
    try:
        with torch.device("meta"), plain_imports():
            model = spec.model(event)
    except (SpecError, NotImplementedError, RuntimeError):
        model = spec.model(event)
    return bool(parts_of(model, capability))


def on_little_data(label: str, part: Part[Model]) -> list[Case]:
    """A causal model on each of the small events that it takes; LawBroken if it takes none."""
    found = [case for event in CAUSAL_EVENTS if takes(case := Case(label, part, (event,)))]
    if not found:
        raise LawBroken(f"model '{label}' supports none of the small events: {', '.join(map(str, CAUSAL_EVENTS))}")
    return found


def causal_cases(**examples: Any) -> Iterator[Case]:
    """Every registered causal model from its example, on the data that it takes, and each shipped spec that has one, in
    its seconds-long version on less data yet.

    ``examples`` declares further ones by name. A model may refuse data by ValueError when it is built.
    """
    for (_, name), cls in installed().components().items():
        if kind_of(cls) is Model and issubclass(cls, Causal):
            examples[name] = {"type": name, **example_of(cls)}
    for label, node in examples.items():
        yield from on_little_data(label, declare(Model, node))
    for name in shipped_specs():
        spec = load_spec(name, small=True)
        if declares(spec, Causal):
            yield shrunk(name, spec.model, event_of(spec))
