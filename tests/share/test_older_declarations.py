"""What was declared when files had format 1 can be read: a parameter that came later says what older files mean."""

from __future__ import annotations

import json

import pytest
from golden_files import FORMAT_1

from zoo.interfaces.component import registration_of
from zoo.registry.part import parameters_of
from zoo.registry.registry import installed

FORMER: dict[str, list[str]] = json.loads((FORMAT_1 / "parameters.json").read_text())
"""Parameters by kind and name of component, as they were."""


def unread(cls: type, former: list[str]) -> set[str]:
    """Parameters that a declaration of then does not give, and parameters of it that nobody reads any more."""
    mark = registration_of(cls)
    now = {name.removeprefix("p_") for name in parameters_of(cls).model_fields}
    then = {mark.renamed.get(name, name) for name in former} if mark else set(former)
    return (now ^ then) - set(mark.added if mark else ())


@pytest.mark.parametrize("declared", FORMER)
def test_a_declaration_of_then_is_complete(declared: str) -> None:
    kind, name = declared.split()
    cls = installed().components()[kind, installed().present_name(kind, name)]
    assert not unread(cls, FORMER[declared]), "add it to added= or renamed= of @component, or write a migration"


def test_a_parameter_without_a_meaning_for_older_files_is_found() -> None:
    cls = installed().components()["bijection", "logit"]
    assert unread(cls, []) == {"alpha"}
