"""Runs and files side by side: one row each."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError, nearest
from ..format.digest import check_seal, hash_file
from ..format.header import canonical
from ..hub.address import is_address
from ..inference.conditions import placeholder
from ..inference.sample import sample
from ..interfaces import Samples
from ..registry.shipped import shipped_specs, shipped_weights
from ..run.directory import model_file
from ..run.record import trained_seconds
from ..share.file import read_share
from ..share.stored_spec import needs
from ..spec import load_spec
from .table_format import Sheet

SAMPLES = 64


@dataclass(frozen=True)
class Row:
    """Recorded facts of one model."""

    source: str
    name: str
    parameters: int | None
    step: int
    metrics: Mapping[str, Mapping[str, Any]]
    """Name -> value, n, and whether it is exact or a bound; on the held-out split."""
    train_seconds: float | None
    seconds_per_sample: float | None
    not_executed: str | None = None
    """What would have to be executed, and is not, for the rest of the row."""
    data: Mapping[str, Any] | None = None
    """What the figures were measured on."""


def compare(run_or_file: str | Path) -> Row:
    """One row for each run or file, and sampling times: no data is read, and no Python file of a run is executed.

    Of a shipped spec without trained weights here the figures that it says were reached.
    """
    if _without_weights(str(run_or_file)):
        return _as_reached(str(run_or_file))
    share = read_share(model_file(run_or_file))
    header = share.header
    recorded = {
        "source": str(run_or_file),
        "name": header.meta["spec"]["name"],
        "step": header.meta["step"],
        "metrics": header.meta["metrics"].get("figures", {}),
        "data": header.meta["metrics"].get("data"),
        "train_seconds": None if is_address(run_or_file) else trained_seconds(Path(run_or_file)),
    }
    files = {need.distribution for need in needs(header, Path(run_or_file)) if need.state == "file"}
    if files:
        check_seal(share.path, header, hash_file(share.path, header))
        return Row(**recorded, parameters=None, seconds_per_sample=None, not_executed=", ".join(sorted(files)))
    model = share.model()
    took = None
    if isinstance(model, Samples):
        how: dict[str, Any] = {"context": placeholder(model, SAMPLES), "batch": share.spec.sample.batch}
        sample(model, SAMPLES, temperature=1.0, seed=0, **how)
        began = time.perf_counter()
        sample(model, SAMPLES, temperature=1.0, seed=0, **how)
        took = (time.perf_counter() - began) / SAMPLES
    count = sum(p.numel() for p in model.parameters())
    return Row(**recorded, parameters=count, seconds_per_sample=took)


def _without_weights(target: str) -> bool:
    """Whether a target is a shipped spec that has figures, and neither a run, a file nor weights."""
    here = Path(target).exists() or target in shipped_weights()
    return not here and target in shipped_specs() and bool(load_spec(target).reached)


def _as_reached(name: str) -> Row:
    """The row of a shipped spec by the figures that it says were reached."""
    spec = load_spec(name)
    figures = {one.metric: one.model_dump(include={"value", "n", "kind"}) for one in spec.reached}
    return Row(name, spec.name, None, spec.train.steps, figures, None, None, data=spec.data.resolved())


def sheets(rows: Sequence[Row], metrics: Sequence[str] = (), sort: str | None = None) -> list[Sheet]:
    """A table for each data that figures were measured on: those of others do not compare.

    ``metrics`` chooses the figures, by default all but details; ``sort`` is a column's head, after ``-`` from the
    largest down. UsageError where no row has such a figure or there is no such column.
    """
    known = list(dict.fromkeys(name for row in rows for name in row.metrics))
    for name in metrics:
        if name not in known:
            raise UsageError(f"no row has the figure '{name}'{nearest(name, known)}")
    names = metrics or [name for name in known if "." not in name]
    if sort is not None and sort.removeprefix("-") not in (columns := [*_COLUMNS, *known]):
        raise UsageError(f"cannot sort by the unknown column '{sort.removeprefix('-')}'{nearest(sort, columns)}")
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(canonical(row.data), []).append(row)
    return [_sheet(_sorted(group, sort), names) for group in groups.values()]


def separated(rows: Sequence[Row]) -> str:
    """CSV with every figure and full precision, n and kind in separate columns."""
    names = list(dict.fromkeys(name for row in rows for name in row.metrics))
    figures = [head for name in names for head in (name, f"{name} n", f"{name} kind")]
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(["run", "model", "data", "parameters", "step", *figures, "seconds per sample", "training seconds"])
    for row in rows:
        found = [row.metrics.get(name, {}) for name in names]
        cells = [figure.get(key) for figure in found for key in ("value", "n", "kind")]
        facts = [row.source, row.name, canonical(row.data), row.parameters, row.step]
        table.writerow([*facts, *cells, row.seconds_per_sample, row.train_seconds])
    return written.getvalue()


_COLUMNS: Mapping[str, Callable[[Row], Any]] = {
    "run": lambda row: row.source,
    "model": lambda row: row.name,
    "parameters": lambda row: row.parameters,
    "step": lambda row: row.step,
    "ms/sample": lambda row: row.seconds_per_sample,
    "training s": lambda row: row.train_seconds,
}


def _sheet(rows: Sequence[Row], names: Sequence[str]) -> Sheet:
    names = [name for name in names if any(name in row.metrics for row in rows)]
    counts = {row.metrics[name]["n"] for row in rows for name in names if name in row.metrics}
    each = len(counts) > 1
    first, last = list(_COLUMNS)[:4], list(_COLUMNS)[4:]
    body = []
    for row in rows:
        figures = [_figure(row.metrics.get(name), each) for name in names]
        sampling = "" if row.seconds_per_sample is None else f"{1000 * row.seconds_per_sample:.3f}"
        seconds = "" if row.train_seconds is None else f"{row.train_seconds:.0f}"
        count = "" if row.parameters is None else f"{row.parameters:,}"
        body.append([row.source, row.name, count, str(row.step), *figures, sampling, seconds])
    where = f"on {canonical(rows[0].data)}" if rows[0].data is not None else "not measured yet"
    return Sheet([*first, *names, *last], body, [], where + (f", n={counts.pop():,}" if len(counts) == 1 else ""))


def _sorted(rows: Sequence[Row], by: str | None) -> Sequence[Row]:
    """In the order of a column; rows that have nothing there come last."""
    if by is None:
        return rows
    name, down = by.removeprefix("-"), by.startswith("-")

    def value(row: Row) -> Any:
        return _COLUMNS[name](row) if name in _COLUMNS else row.metrics.get(name, {}).get("value")

    there = sorted((row for row in rows if value(row) is not None), key=value, reverse=down)
    return [*there, *(row for row in rows if value(row) is None)]


def _figure(figure: Mapping[str, Any] | None, count: bool) -> str:
    if figure is None:
        return ""
    sign = {"bound": "<= ", "exact": ""}.get(figure["kind"], f"{figure['kind']} ")
    value = "not finite" if figure["value"] is None else f"{figure['value']:.4f}"
    return f"{sign}{value} (n={figure['n']})" if count else f"{sign}{value}"
