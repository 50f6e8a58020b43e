"""Components: marked classes of a kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

if TYPE_CHECKING:
    from ..registry.part import Part
    from ..testing.kind_laws import Laws

C = TypeVar("C", bound="type[Component]")
Check = Callable[[Any, tuple[Any, ...]], "str | None"]


class Contract(NamedTuple):
    """Checks of a method's arguments and result. Each check returns a message, or None.

    ``takes(component, args)`` is asked before a call: its complaint is the parent's fault.
    ``gives(component, result)`` is asked after it: its complaint is the component's own.
    """

    takes: Check
    gives: Check


class Component:
    """The root of every kind.

    A *kind* is an abstract class that subclasses this one directly: `Bijection`, `Dataset`, or one that a plugin
    brings. A *component* is a class of a kind that is marked with `component`. Positional parameters of
    its ``__init__`` come from the parent that builds it; keyword-only parameters come from the spec and are the
    component's whole schema: types, bounds, defaults and nested `Part` declarations.
    """

    contracts: ClassVar[Mapping[str, Contract]] = {}
    """Methods whose arguments and results are compared with what was asked for when a spec is checked."""

    origin: ClassVar[str | None] = None
    """Who brought the component, ``zoo-acme 0.1.0``; None for what zoo brings, and before it is registered."""

    declaration: Part[Any] | None = None
    """The declaration that built this instance, if one did."""

    @classmethod
    def laws(cls) -> Laws | None:
        """The laws that every component of a kind must obey, as a `zoo.testing.Laws`: a hook for kinds of plugins.

        It is called on the kind, when components are tested. Import `zoo.testing` in it, not where the kind is defined.
        """
        return None


@dataclass(frozen=True)
class Registration:
    """Record that `component` writes on a class."""

    name: str
    example: Mapping[str, Any]
    formerly: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    added: Mapping[str, Any] = field(default_factory=dict)


def component(
    name: str,
    *,
    example: Mapping[str, Any] | None = None,
    formerly: Sequence[str] = (),
    renamed: Mapping[str, str] | None = None,
    added: Mapping[str, Any] | None = None,
) -> Callable[[C], C]:
    """Mark a class as a component that specs can name.

    ``example`` gives parameters, as YAML would, with which the component works on small shapes: the laws, ``zoo
    show`` and the schema use it. A component whose parameters all have defaults needs none.

    ``formerly`` are names that the component had, and ``renamed`` leads from former names of its parameters to those
    of now. Specs that use them work, with a warning, and share files that do without one.

    ``added`` gives the value, as YAML would, at which a parameter that was added later leaves everything as it was:
    share files from before get it. It need not be the default.

    >>> from zoo import Distribution
    >>> @component("cauchy")
    ... class Cauchy(Distribution): ...
    >>> registration_of(Cauchy).name, kind_of(Cauchy).__name__
    ('cauchy', 'Distribution')
    """
    for called in (name, *formerly):
        if not re.fullmatch(r"[a-z][a-z0-9_]*", called):
            raise ValueError(f"a component name must be snake_case, got {called!r}")

    def mark(cls: C) -> C:
        kind_of(cls)
        cls.__zoo__ = Registration(name, dict(example or {}), tuple(formerly), dict(renamed or {}), dict(added or {}))  # type: ignore[attr-defined]
        return cls

    return mark


def registration_of(cls: type) -> Registration | None:
    """The mark on this very class; a subclass does not inherit it."""
    found = cls.__dict__.get("__zoo__")
    return found if isinstance(found, Registration) else None


def kind_of(cls: type) -> type[Component]:
    """The kind that a component belongs to."""
    for base in cls.__mro__:
        if Component in base.__bases__:
            return base
    raise TypeError(f"{cls.__qualname__} has no kind: subclass one, such as zoo.Bijection")


def kind_name(kind: type) -> str:
    """``Bijection`` is called ``bijection`` in messages and listings."""
    return _snake_case(kind.__name__)


def kind_key(kind: type) -> str:
    """The text that identifies a kind: its name where zoo brings it, else with its module: ``acme.noise.schedule``."""
    if kind.__module__.partition(".")[0] == __name__.partition(".")[0]:
        return kind_name(kind)
    return f"{kind.__module__}.{_snake_case(kind.__qualname__)}"


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
