"""Every registered component of every kind obeys the laws of all, and the laws find planted defects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator

import zoo
from zoo.interfaces.component import Component
from zoo.registry.registry import installed
from zoo.testing import COMPONENT_LAWS, LawBroken
from zoo.testing.cases import declared_cases

COMPONENTS = installed().components()


@pytest.mark.parametrize("law", COMPONENT_LAWS)
@pytest.mark.parametrize("cls", COMPONENTS.values(), ids=[f"{kind}-{name}" for kind, name in COMPONENTS])
def test_law(cls: type[Component], law: str) -> None:
    for case in declared_cases(cls):
        COMPONENT_LAWS[law](case.part)


class Sound(zoo.Metric):
    """Correct, for defects to be planted in."""

    def __init__(self, *, at: float = 1.0) -> None:
        self.at = at

    def measure(self, model: zoo.Model, batches: Any) -> dict[str, zoo.Measurement]:
        return {}


class Mute(Sound):
    pass


class Rambling(Sound):
    """Something or other"""


class Misnaming(Sound):
    """Describes a parameter that it does not take.

    Args:
        att: Where it stands.
    """


class Doubling(Sound):
    """Every reading doubles the parameter."""

    def __init__(self, *, at: Annotated[float, AfterValidator(lambda x: 2.0 * x)] = 1.0) -> None:
        self.at = at


class Opaque(Sound):
    """Takes what no schema knows."""

    def __init__(self, *, at: Callable[[], float] | None = None) -> None:
        self.at = 0.0 if at is None else at()


PLANTED = [
    (Mute, "says_what_it_is"),
    (Rambling, "says_what_it_is"),
    (Misnaming, "says_what_it_is"),
    (Doubling, "declaration_survives"),
    (Opaque, "has_a_schema"),
]


def held(cls: type[Component], law: str) -> None:
    for case in declared_cases(zoo.component("planted")(cls)):
        COMPONENT_LAWS[law](case.part)


@pytest.mark.parametrize("law", COMPONENT_LAWS)
def test_the_sound_one_obeys(law: str) -> None:
    held(Sound, law)


@pytest.mark.parametrize(("cls", "law"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_planted_defect_is_found(cls: type[Sound], law: str) -> None:
    with pytest.raises(LawBroken):
        held(cls, law)


def test_every_law_has_a_defect_that_it_finds() -> None:
    assert {law for _, law in PLANTED} == set(COMPONENT_LAWS)
