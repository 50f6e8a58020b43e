"""A table's picture: one figure of its models over another, next to each other for each data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UsageError
from ..format.header import canonical
from ..plot.images import write_png
from ..plot.scatter import scatter
from ..storage.atomic import write_whole
from .table_format import HEADS
from .table_runs import TabledRow
from .table_spec import FACTS, Plot, Table

ENDING = ".png"


def plot_of(table: Table) -> Plot:
    """The axes of a table's picture; UsageError if it declares none."""
    if table.declared.plot is None:
        raise UsageError(f"the table '{table.declared.name}' has no picture: declare 'plot: {{x: ..., y: ...}}' in it")
    return table.declared.plot


def picture(rows: Sequence[TabledRow], plot: Plot) -> Tensor:
    """Marks of the models that have both figures, ``[3, H, W]`` of bytes; UsageError if no model has."""
    groups: dict[str, dict[str, tuple[float, float]]] = {}
    for row in rows:
        x, y = (value_of(row, name) for name in (plot.x, plot.y))
        if x is not None and y is not None and x > 0.0:
            groups.setdefault(canonical(row.data), {})[row.name] = (x, y)
    if not groups:
        raise UsageError(f"no model of the table has both '{plot.x}' and '{plot.y}'")
    named = {canonical(row.data): " of ".join(_types(row.data)) for row in rows}
    heads = [HEADS.get(name, name) for name in (plot.y, plot.x)]
    return torch.cat([scatter(marks, f"{named[data]}: {' by '.join(heads)}") for data, marks in groups.items()], dim=2)


def write_picture(rows: Sequence[TabledRow], plot: Plot, path: Path) -> None:
    """The picture of a table as a file."""
    image = picture(rows, plot)
    write_whole(path, lambda aside: write_png(image, aside))


def value_of(row: TabledRow, name: str) -> float | None:
    """A figure or a fact of a model; None if it has none."""
    if name in FACTS:
        fact: float | None = getattr(row, name)
        return fact
    figure = row.metrics.get(name)
    return None if figure is None else figure.mean


def _types(data: Mapping[str, Any] | None) -> Iterator[str]:
    """The names of a data set and of those it is made of: ``binarised``, ``mnist``."""
    while isinstance(data, Mapping) and "type" in data:
        yield str(data["type"])
        data = data.get("of")
