"""Every parameter of our components, and of those that authors start from, has one entry in an ``Args:`` list."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo.catalogue.describe import entry
from zoo.catalogue.docstrings import about, arguments
from zoo.interfaces.component import Component, registration_of
from zoo.registry.part import parameters_of
from zoo.registry.registry import installed

ROOT = Path(__file__).parents[2]
OWN = {key: cls for key, cls in installed().components().items() if cls.__module__.startswith("zoo.plugins.")}
STARTS = [*ROOT.glob("zoo/cli/templates/kinds/*.py.txt"), *ROOT.glob("examples/*/zoo_*/*.py")]
TOYS = sorted(path.stem for path in ROOT.glob("tests/zoo-toys/zoo_toys/[a-z]*.py"))


def faults(cls: type[Component]) -> list[str]:
    """A line for each parameter that is missing in the ``Args:`` lists of a class, unknown or double."""
    declared = [info.alias or name for name, info in parameters_of(cls).model_fields.items()]
    taken = inspect.signature(cls.__init__).parameters
    named = Counter(name for name, _ in arguments(inspect.cleandoc(vars(cls).get("__doc__") or "")))
    missing = [
        f"the Args: list of {cls.__qualname__}, or of a base, needs an entry '{name}': what it does, its unit, and "
        "what null or 0 means"
        for name in declared
        if not about(cls, name)
    ]
    unknown = [
        f"the Args: list of {cls.__qualname__} has '{name}', not a parameter" for name in named if name not in taken
    ]
    double = [f"the Args: list of {cls.__qualname__} has '{name}' {n} times" for name, n in named.items() if n > 1]
    return [*missing, *unknown, *double]


def written_in(path: Path) -> Iterator[type[Component]]:
    """The components of a file that is no module of an installed package, or a template of one."""
    space: dict[str, Any] = {"__name__": "written"}
    exec(path.read_text().replace("$Class", "Own").replace("$component", "own"), space)
    for value in space.values():
        if isinstance(value, type) and value.__module__ == "written" and registration_of(value):
            yield value


@pytest.mark.parametrize("cls", OWN.values(), ids=[f"{kind}-{name}" for kind, name in OWN])
def test_own(cls: type[Component]) -> None:
    assert faults(cls) == []


@pytest.mark.parametrize("path", STARTS, ids=lambda path: path.name)
def test_what_authors_start_from(path: Path) -> None:
    found = list(written_in(path))
    assert found or path.name == "__init__.py"
    assert [line for cls in found for line in faults(cls)] == []


@pytest.mark.parametrize("name", TOYS)
def test_toys(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "tests" / "zoo-toys")
    module = import_module(f"zoo_toys.{name}")
    marked = [cls for cls in vars(module).values() if isinstance(cls, type) and registration_of(cls)]
    assert [line for cls in marked for line in faults(cls)] == []


class Halfway(zoo.Schedule):
    """Falls at half of training.

    Args:
        floor: The factor from then on.
    """

    def __init__(self, *, floor: float = 0.0, softness: float = 0.0) -> None:
        self.floor, self.softness = floor, softness

    def factor(self, step: int, steps: int) -> float:
        return 1.0 if 2 * step < steps else self.floor


class Sooner(Halfway):
    """Falls earlier.

    Args:
        when: The share of training at which it falls.

    It falls once.
    """

    def __init__(self, *, when: float = 0.1, floor: float = 0.0) -> None:
        super().__init__(floor=floor)
        self.when = when


class Misnamed(Halfway):
    """Falls twice.

    Args:
        softness: The width of the fall.
        softness: Its height.
        flor: The factor from then on.
    """


def test_an_entry_that_is_missing_unknown_or_double_is_found() -> None:
    (line,) = faults(Halfway)
    assert "Halfway" in line and "'softness'" in line
    assert [line.split(" has ")[1] for line in faults(Misnamed)] == ["'flor', not a parameter", "'softness' 2 times"]


def test_a_base_describes_the_parameters_that_it_takes() -> None:
    assert faults(Sooner) == []
    found = entry(zoo.component("sooner")(Sooner), "sooner")
    assert found.doc == "Falls earlier.\n\nIt falls once."
    described = {row.name: row.description for row in found.parameters}
    assert described == {"when": "The share of training at which it falls.", "floor": "The factor from then on."}


class Plain(zoo.Schedule):
    """Falls to ``floor``, as its docstring says in prose."""

    def __init__(self, *, floor: float = 0.0) -> None: ...


def test_a_component_without_a_list_is_listed_without_descriptions() -> None:
    (row,) = entry(zoo.component("plain")(Plain), "plain").parameters
    assert (row.name, row.description) == ("floor", "")
