"""How many pairs of a law and a case are tested, by kind and law: as many as ``pairs.json`` says.

Set ``ZOO_WRITE_GOLDEN`` to write the file after cases or laws have been added, and read the difference: no number falls
without a reason that the commit gives.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from golden_texts import WRITE

HERE = Path(__file__).parent
FILE = HERE / "pairs.json"
KINDS = sorted(path.stem.removeprefix("test_laws_") for path in HERE.glob("test_laws_*.py"))
Counts = dict[str, dict[str, int]]


def parametrisations(test: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """The arguments of each test that a parametrised function stands for."""
    axes = []
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            names, rows = mark.args
            names = names.replace(",", " ").split() if isinstance(names, str) else names
            axes.append([dict(zip(names, values(row, len(names)), strict=True)) for row in rows])
    for chosen in product(*axes):
        yield {name: value for row in chosen for name, value in row.items()}


def values(row: Any, count: int) -> tuple[Any, ...]:
    """What one row of a parametrisation gives to ``count`` names."""
    if isinstance(row, type(pytest.param())):
        return tuple(row.values)
    return tuple(row) if count > 1 else (row,)


def pairs(module: ModuleType) -> dict[str, int]:
    """The number of cases by law; a test that holds a case to several laws at once counts under its own name."""
    found: Counter[str] = Counter()
    for name, test in vars(module).items():
        if name.startswith("test_law"):
            found.update(str(arguments.get("law", name)) for arguments in parametrisations(test))
    return dict(sorted(found.items()))


def differences(expected: Counts, found: Counts) -> list[str]:
    """One line for each number that is another."""
    return [
        f"{kind}: {law}: {was} pairs were tested, {now} are now"
        for kind in sorted(expected.keys() | found.keys())
        for law in sorted(expected.get(kind, {}).keys() | found.get(kind, {}).keys())
        if (was := expected.get(kind, {}).get(law, 0)) != (now := found.get(kind, {}).get(law, 0))
    ]


def test_no_pair_is_lost() -> None:
    found = {kind: pairs(import_module(f"test_laws_{kind}")) for kind in KINDS}
    found = {kind: laws for kind, laws in found.items() if laws}
    if WRITE:
        FILE.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    changed = differences(json.loads(FILE.read_text(encoding="utf-8")), found)
    assert not changed, "\n".join(
        [*changed, f"where only numbers grow, run ZOO_WRITE_GOLDEN=1 pytest {FILE.parent} and commit {FILE.name}"]
    )


def test_a_lost_law_and_a_lost_case_are_found() -> None:
    was = {"mask": {"partition": 3, "shapes": 3}}
    assert differences(was, was) == []
    assert differences(was, {"mask": {"partition": 3}}) == ["mask: shapes: 3 pairs were tested, 0 are now"]
    assert differences(was, {"mask": {"partition": 3, "shapes": 2}}) == ["mask: shapes: 3 pairs were tested, 2 are now"]
    assert len(differences(was, {})) == 2


@pytest.mark.parametrize(
    "mark", [("a, law", [(1, "x"), pytest.param(2, "x", id="second")]), (("a", "law"), [(3, "y")])]
)
def test_marks_are_read(mark: tuple[Any, list[Any]]) -> None:
    module = ModuleType("laws")

    @pytest.mark.parametrize("kind", ["one", "two", "three"])
    @pytest.mark.parametrize(*mark)
    def test_law(a: int, law: str, kind: str) -> None: ...

    vars(module)["test_law"] = test_law
    assert sum(pairs(module).values()) == 3 * len(mark[1])
