"""Declaration of a table of models: specs, changes, and the number of seeds."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from ..document.diagnostics import problems_in
from ..document.merge import Marks, Say, assign, put
from ..document.nodes import Entries, child_place
from ..errors import Problem, SpecError, UsageError, nearest
from ..interfaces import Metric
from ..registry.part import Part
from ..registry.registry import installed
from ..registry.shipped import shipped_tables
from ..settings import Settings
from ..spec import Spec, find_spec
from ..spec.load import read_mapping, read_merged, shrunk, validate

Seeds = Annotated[int, Field(ge=1, le=1000)]
SECONDS_PER_DRAW = "seconds_per_draw"
FACTS = ("seeds", "parameters", "seconds_per_step", SECONDS_PER_DRAW, "seconds")
"""What a table shows of a model besides its figures: the last is the time of all its training."""


class Row(Settings):
    """One model of a table: a spec, its changes, and reported figures."""

    spec: str
    name: str | None = None
    set: dict[str, Any] = {}
    metrics: list[Part[Metric]] | None = None
    """Measured of this model, in place of what the table and its spec say."""
    reported: dict[str, float] = {}
    source: str = ""


class Plot(Settings):
    """The two figures, or facts, that a table's picture shows one over the other."""

    x: str = SECONDS_PER_DRAW
    y: str


class Declaration(Settings):
    """Keys of a table's file."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    description: str = ""
    rows: Annotated[list[Row], Field(min_length=1)]
    seeds: Seeds = 1
    set: dict[str, Any] = {}
    metrics: list[Part[Metric]] = []
    """Measured of every model, in place of what its spec says."""
    columns: list[str] = []
    """The figures that are shown, in this order; by default all but details. A ``.csv`` file holds all. Facts of the
    models may stand among them, `FACTS`: by default seeds, parameters and seconds follow the figures."""
    plot: Plot | None = None
    """What the picture of the table shows."""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table as declared, and the nodes that it was read from."""

    path: Path
    declared: Declaration
    node: Entries

    def names(self) -> list[str]:
        """The names of the rows."""
        return [row.name or Path(row.spec).stem for row in self.declared.rows]

    def shown(self) -> set[str]:
        """The figures and facts that its columns and its picture show by name."""
        plot = self.declared.plot
        return {*self.declared.columns, *((plot.x, plot.y) if plot else ())}

    def spec(self, index: int, seed: int, overrides: Sequence[str] = (), *, small: bool = False, say: Say) -> Spec:
        """The spec of a row: changes of all rows, then its own, then ``overrides``, then the seed."""
        row = self.node["rows"][index]
        merged = read_merged(self.file(index), say)
        merged = shrunk(merged) if small else merged
        for changes in (self.node.get("set"), row.get("set")):
            for key, value, marks in _assignments(changes):
                merged = put(merged, key.split("."), value, marks, say)
        for entries in (self.node, row):
            if entries.get("metrics") is not None:
                merged = put(merged, ["evaluate"], entries["metrics"], _marks(entries, "metrics"), say)
        for override in overrides:
            merged = assign(merged, override, say)
        return validate(put(merged, ["train", "seed"], seed, (None, None), say), self.file(index))

    def file(self, index: int) -> Path:
        """The file of a row's spec: next to the table, or as for any command."""
        spec = self.declared.rows[index].spec
        local = self.path.parent / spec
        try:
            return local if local.is_file() else find_spec(spec)
        except UsageError as error:
            place = child_place(self.node["rows"][index], "spec")
            raise SpecError(Problem(place.mark, place.path, str(error))) from None


def read_table(table: str | os.PathLike[str]) -> Table:
    """A table from a path, or by the name of a shipped one; SpecError with every problem of it."""
    path = _find(table)
    node = read_mapping(path, "a table", "rows")
    try:
        declared = Declaration.model_validate({**node}, context={"lookup": installed()})
    except ValidationError as error:
        raise SpecError(problems_in(error, node, Declaration, "the table")) from None
    read = Table(path, declared, node)
    found = [*_twice(read), *_unmeasured(read)]
    if found:
        raise SpecError(found)
    return read


def safe(name: str) -> str:
    """A name as part of a directory's.

    >>> safe("β-VAE (β = 4)")
    'VAE-4'
    """
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.")


def _twice(table: Table) -> Iterator[Problem]:
    """Rows whose runs would lie in one directory."""
    seen: dict[str, str] = {}
    for index, name in enumerate(table.names()):
        place = child_place(table.node["rows"], index)
        if not safe(name):
            yield Problem(
                place.mark, place.path, f"'{name}' cannot be used as a directory name: it needs a letter or a digit"
            )
        elif safe(name) in seen:
            yield Problem(
                place.mark,
                place.path,
                f"'{name}' has the same directory name as '{seen[safe(name)]}': set another 'name'",
            )
        seen.setdefault(safe(name), name)


def _unmeasured(table: Table) -> Iterator[Problem]:
    """An axis of the picture that nothing measures, where the table says by what every model is measured."""
    declared, plot = table.declared, table.declared.plot
    metrics = [declared.metrics if row.metrics is None else row.metrics for row in declared.rows]
    if plot is None or not all(metrics):
        return
    known = [*FACTS, *dict.fromkeys(name for each in metrics for metric in each for name in metric().figures())]
    for axis, name in (("x", plot.x), ("y", plot.y)):
        if name not in known:
            place = child_place(table.node["plot"], axis)
            yield Problem(place.mark, place.path, f"no metric of the table gives '{name}'{nearest(name, known)}")


def _find(table: str | os.PathLike[str]) -> Path:
    path, shipped = Path(table), shipped_tables()
    if path.is_file():
        return path
    if str(table) in shipped:
        return shipped[str(table)]
    raise UsageError(f"unknown table '{table}'{nearest(path.stem, shipped)}")


def _assignments(changes: Any) -> Iterator[tuple[str, Any, Marks]]:
    if isinstance(changes, Entries):
        for key, value in changes.items():
            yield key, value, _marks(changes, key)


def _marks(entries: Entries, key: str) -> Marks:
    return entries.key_marks.get(key), entries.value_marks.get(key)
