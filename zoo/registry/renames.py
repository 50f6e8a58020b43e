"""Former names of components and parameters, which still work, with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from ..document.nodes import Entries, Place, key_place
from ..errors import Problem, SpecError


class Renamed(FutureWarning):
    """A spec uses a name that will go."""


def warn(place: Place, message: str) -> None:
    """Warn of a former name at its place in a spec."""
    warnings.warn(str(Problem(place.mark, place.path, message)), Renamed, stacklevel=2)


def former_keys(renamed: Mapping[str, str], node: Mapping[str, Any]) -> list[str]:
    """The keys of a declaration that are former names; SpecError where the present name is there as well."""
    found = [key for key in node if key in renamed]
    for key in found:
        if renamed[key] in node:
            at = key_place(node, key)
            raise SpecError(
                Problem(at.mark, at.path, f"'{key}' is the former name of '{renamed[key]}': use only one of them")
            )
    return found


def with_present_keys(renamed: Mapping[str, str], node: Entries) -> Entries:
    """The declaration with the names that its parameters have now, each where the former one was written."""
    present = Entries(place=node.place)
    for key, value in node.items():
        present.put(renamed.get(key, key), value, node.key_marks.get(key), node.value_marks.get(key))
    return present
