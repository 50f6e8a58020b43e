"""Files of older versions, brought up to date: the format by its steps, a component's parameters by its plugin's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from ..interfaces.component import Component

FORMAT = 2
STEPS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: lambda meta: meta}
"""For each older format the step from its metadata to that of the next; nothing older than the first is shared."""

Step = Callable[[dict[str, Any]], Mapping[str, Any]]
S = TypeVar("S", bound=Step)


def upgraded(meta: dict[str, Any]) -> dict[str, Any]:
    """The metadata of a share file in today's format; LookupError where no step leads there."""
    while meta["format"] != FORMAT:
        before = meta["format"]
        if before not in STEPS:
            raise LookupError(before)
        meta = STEPS[before](deepcopy(meta)) | {"format": before + 1}
    return meta


@dataclass(frozen=True)
class Migration:
    """One step of a component's parameters, for files that were made before a version of its distribution."""

    component: type[Component]
    before: Version
    step: Step


def migration(component: type[Component], *, before: str) -> Callable[[S], S]:
    """Mark a function as the step that brings a component's stored parameters to those of version ``before``.

    It is given the parameters as a file of an older version has them, nested declarations among them, as plain values;
    it returns all parameters that the component has now, defaults written out: what it leaves out is refused.
    Steps of one component follow each other, oldest first. The registry finds them in the component's own plugin.

    >>> from zoo import Distribution, component, migration
    >>> @component("cauchy")
    ... class Cauchy(Distribution): ...
    >>> @migration(Cauchy, before="0.3")
    ... def scale_for_width(old):
    ...     return {"scale": old["width"] / 2}
    >>> [(step.component.__name__, str(step.before)) for step in migrations_in(scale_for_width)]
    [('Cauchy', '0.3')]
    """
    try:
        version = Version(before)
    except InvalidVersion:
        raise ValueError(f"invalid version '{before}'") from None

    def mark(step: S) -> S:
        marks = (*migrations_in(step), Migration(component, version, step))
        step.__zoo_migrations__ = marks  # type: ignore[attr-defined]
        return step

    return mark


def migrations_in(value: Any) -> tuple[Migration, ...]:
    """The marks on a function."""
    found = vars(value).get("__zoo_migrations__", ()) if callable(value) and hasattr(value, "__dict__") else ()
    return tuple(found)


def version_of(text: str) -> Version | None:
    """A package's version; None if it is not a valid one.

    >>> version_of("1.0rc1") < version_of("1.0"), version_of("1.0; rm"), version_of("unknown")
    (True, None, None)
    """
    # Version allows blanks around; a text from a file is printed in a command that somebody copies.
    if not re.fullmatch(r"[A-Za-z0-9.!+_-]{1,64}", text):
        return None
    try:
        return Version(text)
    except InvalidVersion:
        return None
