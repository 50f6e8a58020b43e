"""Runs and files side by side: one row each."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .conditions import placeholder
from .exporting import open_share
from .header import read_header
from .interfaces import Samples
from .run import RUN, model_file
from .sampling import sample
from .sealing import check_seal, hash_file
from .stored import needs

SAMPLES = 64


@dataclass(frozen=True)
class Row:
    """What is known of one model."""

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


def compare(run_or_file: str | Path) -> Row:
    """One row of what is recorded, and how long draws take: no data is read, and no Python file of a run executed."""
    file = model_file(run_or_file)
    header = read_header(file)
    recorded = {
        "source": str(run_or_file),
        "name": header.meta["spec"]["name"],
        "step": header.meta["step"],
        "metrics": header.meta["metrics"].get("figures", {}),
        "train_seconds": _seconds(run_or_file),
    }
    files = {need.distribution for need in needs(header, Path(run_or_file)) if need.state == "file"}
    if files:
        check_seal(file, header, hash_file(file, header))
        return Row(**recorded, parameters=None, seconds_per_sample=None, not_executed=", ".join(sorted(files)))
    model = open_share(file)[0]
    took = None
    if isinstance(model, Samples):
        context = placeholder(model, SAMPLES)
        sample(model, SAMPLES, temperature=1.0, seed=0, context=context)
        began = time.perf_counter()
        sample(model, SAMPLES, temperature=1.0, seed=0, context=context)
        took = (time.perf_counter() - began) / SAMPLES
    count = sum(p.numel() for p in model.parameters())
    return Row(**recorded, parameters=count, seconds_per_sample=took)


def _seconds(run_or_file: str | Path) -> float | None:
    try:
        return float(json.loads((Path(run_or_file) / RUN).read_text())["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def cells(rows: list[Row]) -> tuple[list[list[str]], list[str]]:
    """The table's rows and heads, without the details of figures."""
    names = list(dict.fromkeys(name for row in rows for name in row.metrics if "." not in name))
    heads = ["run", "model", "parameters", "step", *names, "ms/sample", "training s"]
    body = []
    for row in rows:
        figures = [_figure(row.metrics.get(name)) for name in names]
        sampling = f"{1000 * row.seconds_per_sample:.3f}" if row.seconds_per_sample is not None else ""
        seconds = f"{row.train_seconds:.0f}" if row.train_seconds is not None else ""
        body.append([row.source, row.name, _count(row.parameters), str(row.step), *figures, sampling, seconds])
    return body, heads


def _count(parameters: int | None) -> str:
    return "" if parameters is None else f"{parameters:,}"


def _figure(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return ""
    sign = {"bound": "<= ", "exact": ""}.get(figure["kind"], f"{figure['kind']} ")
    value = "not finite" if figure["value"] is None else f"{figure['value']:.4f}"
    return f"{sign}{value} (n={figure['n']})"
