"""Runs and files side by side: one row each."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .conditions import placeholder
from .evaluation import evaluate
from .exporting import open_share
from .interfaces import Samples
from .run import RUN, model_file
from .sampling import sample

SAMPLES = 64


@dataclass(frozen=True)
class Row:
    """What is known of one model."""

    source: str
    name: str
    parameters: int
    step: int
    metrics: Mapping[str, Mapping[str, Any]]
    """Name -> value, n, and whether it is exact or a bound; on the held-out split."""
    train_seconds: float | None
    seconds_per_sample: float | None


def compare(run_or_file: str | Path) -> Row:
    """One row: recorded figures where the file has them, measured ones where it has not."""
    file = model_file(run_or_file)
    model, spec, header = open_share(file)
    figures = header.meta["metrics"].get("figures")
    if figures is None:
        measured = evaluate(file, spec)
        figures = {name: {"value": m.value, "n": m.n, "kind": m.kind} for name, m in measured.items()}
    took = None
    if isinstance(model, Samples):
        context = placeholder(model, SAMPLES)
        sample(model, SAMPLES, temperature=1.0, seed=0, context=context)
        began = time.perf_counter()
        sample(model, SAMPLES, temperature=1.0, seed=0, context=context)
        took = (time.perf_counter() - began) / SAMPLES
    count = sum(p.numel() for p in model.parameters())
    return Row(str(run_or_file), spec.name, count, header.meta["step"], figures, _seconds(run_or_file), took)


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
        body.append([row.source, row.name, f"{row.parameters:,}", str(row.step), *figures, sampling, seconds])
    return body, heads


def _figure(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return ""
    sign = {"bound": "<= ", "exact": ""}.get(figure["kind"], f"{figure['kind']} ")
    value = "not finite" if figure["value"] is None else f"{figure['value']:.4f}"
    return f"{sign}{value} (n={figure['n']})"
