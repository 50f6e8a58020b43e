"""Every registered component of a kind, on a battery of small shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..assembly.imports import plain_imports
from ..errors import SpecError
from ..event import Event
from ..interfaces.component import Component, kind_name, kind_of, registration_of
from ..interfaces.dataset import Dataset
from ..interfaces.likelihood import Likelihood
from ..interfaces.model import Model
from ..interfaces.networks import Conditioner, Decoder, Encoder
from ..interfaces.view import View
from ..interfaces.weighting import Weighting
from ..registry.part import Part, example_of, part_of
from ..registry.registry import declare, installed
from ..shape import Shape
from .errors import LawBroken
from .kind_laws import SHAPES, own_laws
from .pictured import pictured
from .with_context import given

PAIRS = (
    (Shape(3), Shape(4)),
    (Shape(1), Shape(2, 4, 4)),
    (Shape(2, 4, 4), Shape(6, 4, 4)),
    (Shape(3, 4, 6), Shape(1, 4, 6)),
)
CODINGS = (
    (Shape(5), Shape(4)),
    (Shape(1, 4, 4), Shape(6)),
    (Shape(3, 8, 4), Shape(4, 4, 2)),
)
"""What an encoder maps, data and code; a decoder maps them the other way."""
EVENTS = (
    Event("number", Shape(1)),
    Event("number", Shape(1), levels=2),
    Event("number", Shape(1), levels=7),
    Event("number", Shape(1), levels=1000),
    Event("row", Shape(5)),
    Event("image", Shape(1, 4, 4), levels=2),
    Event("image", Shape(3, 4, 6), levels=256),
)
LABELLED = (Event("image", Shape(1, 8, 8), levels=2, classes=3),)
PAIRED = (
    Event("text", Shape(5), levels=7, padding=0, also=(Event("image", Shape(1, 4, 4), levels=2),)),
    Event(
        "image",
        Shape(1, 8, 8),
        levels=2,
        also=(
            Event("boxes", Shape(2, 4), range=(-1.0, 1.0), padding=-1),
            Event("condition", Shape(1, 8, 8), levels=4),
        ),
    ),
)
"""Data with several entries, some of them padded, and one of images that an image may be translated from."""
BATTERIES: Mapping[type[Component], tuple[tuple[Any, ...], ...]] = {
    Conditioner: PAIRS,
    Weighting: ((1,), (4,)),
    Encoder: CODINGS,
    Decoder: tuple((code, data) for data, code in CODINGS),
    Likelihood: tuple((event,) for event in EVENTS),
    Dataset: ((),),
    Model: tuple((event,) for event in (*EVENTS, *LABELLED, *PAIRED)),
    View: tuple((model,) for model in pictured()),
}
"""What parents give the components of those kinds of `zoo.interfaces` that take no single shape."""
CHOOSY = (View,)
"""Kinds whose components may refuse all of it: a view may be of one class of models."""


@dataclass(frozen=True)
class Case:
    """A declared component and the arguments of its parent."""

    label: str
    part: Part[Any]
    given: tuple[Any, ...]

    def build(self, seed: int = 0) -> Any:
        """The component, its random start fixed by the seed; one that takes a context is given one."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return given(self.part(*self.given), seed)

    def __str__(self) -> str:
        return "-".join(text for text in (self.label, _shown(self.given)) if text)


def cases(kind: type[Component], **examples: Any) -> Iterator[Case]:
    """The components of a kind, each from its example, on the shapes that it takes.

    ``examples`` declares further ones by name: ``swapped={"type": "channel", "swap": True}``. A component may refuse
    a shape by ValueError when it is built; LawBroken where it takes none.

    >>> import zoo
    >>> [str(case) for case in cases(zoo.Mask) if case.part.name == "channel"]
    ['channel-2', 'channel-5', 'channel-3x4x6', 'channel-4x4x4']
    """
    for name, cls in installed().components().items():
        if kind_of(cls) is kind:
            yield from _taken(name[1], declare(kind, {"type": name[1], **example_of(cls)}))
    for label, node in examples.items():
        yield from _taken(label, declare(kind, node))


def cases_of(cls: type[Component], **examples: Any) -> Iterator[Case]:
    """The cases of one component, installed or not; ``examples`` declare its parameters."""
    for case in declared_cases(cls, **examples):
        yield from _taken(case.label, case.part)


def declared_cases(cls: type[Component], **examples: Any) -> Iterator[Case]:
    """The declarations alone, with nothing from a parent."""
    registration = registration_of(cls)
    if registration is None:
        raise TypeError(f"{cls.__qualname__} is not a component: mark it with zoo.component")
    for label, values in {registration.name: example_of(cls), **examples}.items():
        yield Case(label, part_of(installed(), cls, registration.name, values), ())


def _taken(label: str, part: Part[Any]) -> Iterator[Case]:
    battery = battery_of(kind_of(part.cls))
    found = [case for case in (Case(label, part, given) for given in battery) if takes(case)]
    if not found and kind_of(part.cls) not in CHOOSY:
        shapes = ", ".join(map(_shown, battery))
        raise LawBroken(f"{kind_name(kind_of(part.cls))} '{part.name}' supports none of the shapes {shapes}")
    yield from found


def battery_of(kind: type[Component]) -> Sequence[tuple[Any, ...]]:
    """Arguments that parents give to components of a kind: a single shape, unless the kind declares others."""
    if kind in BATTERIES:
        return BATTERIES[kind]
    own = own_laws(kind)
    return tuple((shape,) for shape in SHAPES) if own is None else own.given


def _shown(given: tuple[Any, ...]) -> str:
    return "-".join(_event(value) if isinstance(value, Event) else str(value) for value in given)


def _event(event: Event) -> str:
    return str(event.shape) if event.levels is None else f"{event.shape}of{event.levels}"


def takes(case: Case) -> bool:
    """Whether a component can be built with its parent's arguments: on the meta device, where no weights are drawn.

    What asks for a tensor's value when it is built fails there, and is built on the CPU.
    """
    try:
        with plain_imports(), torch.device("meta"):
            return _accepts(case)
    except Exception:
        return _accepts(case)


def _accepts(case: Case) -> bool:
    try:
        case.build()
    except SpecError as error:
        if isinstance(error.__cause__, ValueError) or error.__cause__ is None:
            return False
        raise
    return True
