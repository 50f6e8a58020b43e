"""The laws of a kind as one object: what a plugin's kind returns, and what `zoo.interfaces` has a table of.

Laws belong to a kind, not to its components: what a component overrides is not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..interfaces.component import Component, kind_name
from ..shape import Shape

SHAPES = (Shape(2), Shape(5), Shape(1, 4, 4), Shape(3, 4, 6), Shape(4, 4, 4))

Law = Callable[..., None]
Hold = Callable[[Any, Law], None]
"""Makes a component ready for a law, and calls the law with it and with whatever else the laws of its kind take."""


def as_built(component: Any, law: Law) -> None:
    """Hold a component to a law as it is when it is new."""
    law(component)


def in_float64(component: Any, law: Law) -> None:
    """Hold a new component, a module, to a law in float64."""
    law(component.double())


@dataclass(frozen=True)
class Laws:
    """The laws of a kind.

    A kind that a plugin brings returns them from its classmethod ``laws``; `check_component`, `laws_of` and `cases` do
    the rest, for every component of the kind, from any package.

    Args:
        by_name: each law takes a component and raises `LawBroken`, with a message that says what to change.
        given: what a parent may pass to the component's ``__init__`` by position, one tuple a case. A component may
            refuse some of them, by ValueError, but not all.
        hold: makes a component ready and calls the law with it: ``hold(component, law)``. By default the law gets the
            new component as it is.

    >>> import zoo
    >>> from abc import ABC, abstractmethod
    >>> from zoo.testing import LawBroken, Laws, check_component
    >>> def starts_at_one(schedule):
    ...     if schedule(0) != 1.0:
    ...         raise LawBroken(f"the factor of step 0 is {schedule(0)}: return 1")
    >>> class Decay(zoo.Component, ABC):
    ...     "The kind of factors that decay."
    ...     @abstractmethod
    ...     def __call__(self, step: int) -> float: ...
    ...     @classmethod
    ...     def laws(cls) -> Laws:
    ...         return Laws.of(starts_at_one, given=[()])
    >>> @zoo.component("inverse")
    ... class Inverse(Decay):
    ...     "The inverse of the step."
    ...     def __call__(self, step): return 1 / (step + 2)
    >>> check_component(Inverse)
    Traceback (most recent call last):
    zoo.testing.errors.LawBroken: the factor of step 0 is 0.5: return 1
    """

    by_name: Mapping[str, Law]
    given: Sequence[tuple[Any, ...]] = tuple((shape,) for shape in SHAPES)
    hold: Hold = as_built

    def __post_init__(self) -> None:
        if not self.by_name or not self.given:
            raise ValueError("a kind with laws needs at least one law, and one case to build its components on")

    @classmethod
    def of(cls, *laws: Law, **settings: Any) -> Laws:
        """Laws that go by the names of their functions; ``given`` and ``hold`` as above."""
        return cls({law.__name__: law for law in laws}, **settings)


def own_laws(kind: type[Component]) -> Laws | None:
    """The laws that a kind brings by its classmethod ``laws``; None where it brings none."""
    found: Any = kind.laws()
    if not isinstance(found, Laws | None):
        wrong = type(found).__name__
        raise UsageError(f"the laws of kind '{kind_name(kind)}' must be a zoo.testing.Laws, got {wrong}")
    return found
