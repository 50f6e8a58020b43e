"""Every registered component of a kind, on a battery of small shapes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import SpecError
from ..interfaces.component import Component, kind_name, kind_of
from ..interfaces.conditioner import Conditioner
from ..part import Part, example_of
from ..registry import declare, installed
from ..shape import Shape
from .broken import LawBroken
from .given import given

SHAPES = (Shape(2), Shape(5), Shape(1, 4, 4), Shape(3, 4, 6), Shape(4, 4, 4))
PAIRS = (
    (Shape(3), Shape(4)),
    (Shape(1), Shape(2, 4, 4)),
    (Shape(2, 4, 4), Shape(6, 4, 4)),
    (Shape(3, 4, 6), Shape(1, 4, 6)),
)


@dataclass(frozen=True)
class Case:
    """A declared component and what its parent would give it."""

    label: str
    part: Part[Any]
    given: tuple[Shape, ...]

    def build(self, seed: int = 0) -> Any:
        """The component, its random start fixed by the seed; one that takes a context is given one."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return given(self.part(*self.given), seed)

    def __str__(self) -> str:
        return f"{self.label}-{'-'.join(map(str, self.given))}"


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


def _taken(label: str, part: Part[Any]) -> Iterator[Case]:
    battery: tuple[tuple[Shape, ...], ...] = PAIRS
    if not issubclass(part.cls, Conditioner):
        battery = tuple((shape,) for shape in SHAPES)
    found = [case for case in (Case(label, part, given) for given in battery) if _takes(case)]
    if not found:
        shapes = ", ".join("-".join(map(str, given)) for given in battery)
        raise LawBroken(f"{kind_name(kind_of(part.cls))} '{part.name}' takes none of the shapes {shapes}")
    yield from found


def _takes(case: Case) -> bool:
    try:
        case.build()
    except SpecError as error:
        if isinstance(error.__cause__, ValueError) or error.__cause__ is None:
            return False
        raise
    return True
