"""Every parameter of our own components, and of those that authors start from, is explained where editors look."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo.catalogue.describe import entry, schema_of
from zoo.interfaces.component import Component, registration_of
from zoo.registry.registry import installed

ROOT = Path(__file__).parents[2]
OWN = {key: cls for key, cls in installed().components().items() if cls.__module__.startswith("zoo.plugins.")}
STARTS = [*ROOT.glob("zoo/cli/templates/kinds/*.py.txt"), *ROOT.glob("examples/*/zoo_*/*.py")]


def unexplained(cls: type[Component]) -> list[str]:
    """What to write of a class: a line for each parameter that its schema does not describe."""
    properties = schema_of(cls, "it")["definition"]["properties"]
    return [
        f"the docstring of {cls.__qualname__}, or of a base that takes it, needs a sentence that names ``{name}``: "
        "what it does, in which unit, and what none or 0 means"
        for name, told in properties.items()
        if not told.get("description")
    ]


def written_in(path: Path) -> Iterator[type[Component]]:
    """The components of a file that is no module of an installed package, or a template of one."""
    space: dict[str, Any] = {"__name__": "written"}
    exec(path.read_text().replace("$Class", "Own").replace("$component", "own"), space)
    for value in space.values():
        if isinstance(value, type) and value.__module__ == "written" and registration_of(value):
            yield value


@pytest.mark.parametrize("cls", OWN.values(), ids=[f"{kind}-{name}" for kind, name in OWN])
def test_own(cls: type[Component]) -> None:
    assert unexplained(cls) == []


@pytest.mark.parametrize("path", STARTS, ids=lambda path: path.name)
def test_what_authors_start_from(path: Path) -> None:
    found = list(written_in(path))
    assert found or path.name == "__init__.py"
    assert [line for cls in found for line in unexplained(cls)] == []


class Halfway(zoo.Schedule):
    """Falls to ``floor`` at half of training."""

    def __init__(self, *, floor: float = 0.0, softness: float = 0.0) -> None:
        self.floor, self.softness = floor, softness

    def factor(self, step: int, steps: int) -> float:
        return 1.0 if 2 * step < steps else self.floor


class Sooner(Halfway):
    """Falls earlier; ``when`` says where."""

    def __init__(self, *, when: float = 0.1, floor: float = 0.0) -> None:
        super().__init__(floor=floor)
        self.when = when


def test_one_that_is_not_explained_is_found() -> None:
    (line,) = unexplained(Halfway)
    assert "Halfway" in line and "``softness``" in line


def test_a_base_that_takes_a_parameter_explains_it() -> None:
    assert unexplained(Sooner) == []
    doc = entry(zoo.component("sooner")(Sooner), "sooner").doc
    assert doc == "Falls earlier; ``when`` says where.\n\nFalls to ``floor`` at half of training."
