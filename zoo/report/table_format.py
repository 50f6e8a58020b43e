"""A table of models as text: for a terminal, and as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import wrap

from ..catalogue.markdown import fenced
from ..errors import UsageError
from ..format.header import canonical
from ..registry.outputs import ending
from .table_runs import Figure, TabledRow
from .table_spec import FACTS
from .text_table import columns, fitted


@dataclass(frozen=True)
class Sheet:
    """Cells of a table, and the notes below it."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]
    title: str = ""


def sheets(rows: Sequence[TabledRow], note: str = "", chosen: Sequence[str] = ()) -> list[Sheet]:
    """A sheet for each data that models were measured on, since figures on different data do not compare.

    The note is below the last. A single sheet has no title.
    """
    groups: dict[str, list[TabledRow]] = {}
    for row in rows:
        groups.setdefault(canonical(row.data), []).append(row)
    everywhere = _names(rows)
    made = []
    for group in groups.values():
        measured = _names(group)
        made.append(sheet(group, "", [name for name in chosen if name in measured or name not in everywhere]))
    made[-1] = replace(made[-1], notes=[*([note] if note else []), *made[-1].notes])
    if len(made) == 1:
        return made
    return [replace(each, title=f"on {data}") for each, data in zip(made, groups, strict=True)]


def sheet(rows: Sequence[TabledRow], note: str = "", chosen: Sequence[str] = ()) -> Sheet:
    """A row for each model: figures over the seeds next to reported ones, with their sources below."""
    reported, measured = _reported(rows), _names(rows)
    names = list(chosen) or [name for name in measured if "." not in name]
    if not {*names} & {*FACTS}:
        names += DEFAULT_FACTS
    sources = list(dict.fromkeys(row.source for row in rows if row.reported and row.source))
    body = []
    for row in rows:
        mark = f" [{sources.index(row.source) + 1}]" if row.source in sources else ""
        cells = [row.name]
        for name in names:
            cells += [FACTS_SHOWN[name](row) if name in FACTS else _cell(row.metrics.get(name), row)]
            if name in reported:
                cells += [f"{row.reported[name]:g}{mark}" if name in row.reported else ""]
        body.append(cells)
    heads = ["model"]
    for name in names:
        head = HEADS.get(name, name)
        heads += [head, f"{name} reported"] if name in reported else [head]
    notes = [*([note] if note else []), *(f"[{i}] reported: {source}" for i, source in enumerate(sources, 1))]
    notes += [f"{row.name}, seed {seed}: {_flat(why)}" for row in rows for seed, why in row.failed.items()]
    return Sheet(heads, body, notes)


def plain(rows: Sequence[TabledRow], note: str = "", chosen: Sequence[str] = ()) -> str:
    """For a terminal."""
    return "\n\n".join(on_terminal(each) for each in sheets(rows, note, chosen))


def on_terminal(made: Sheet, width: int | None = None) -> str:
    """A sheet in so many columns of characters, or in as many as it takes."""
    cells = [[cell.replace("±", "+-") for cell in row] for row in made.rows]
    table = columns(cells, made.heads) if width is None else fitted(cells, made.heads, width)
    title = [*wrap(made.title, width or 120), ""] if made.title else []
    return "\n".join([*title, table, *(f"\n{line}" for line in made.notes)])


def markdown(rows: Sequence[TabledRow], note: str = "", chosen: Sequence[str] = ()) -> str:
    """A table of GitHub's Markdown."""
    return "\n".join(in_markdown(each) for each in sheets(rows, note, chosen))


def in_markdown(made: Sheet) -> str:
    """A sheet as a table of GitHub's Markdown."""
    lines = [made.heads, ["---", *["---:"] * (len(made.heads) - 1)], *made.rows]
    table = ["| " + " | ".join(_flat(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]
    title = [fenced(made.title, "text") + "\n"] if made.title else []
    return "\n".join([*title, *table, *(f"\n{line}" for line in made.notes)]) + "\n"


def latex(rows: Sequence[TabledRow], note: str = "", chosen: Sequence[str] = ()) -> str:
    """A ``tabular`` of LaTeX, which needs no package."""
    return "\n".join(in_latex(each) for each in sheets(rows, note, chosen))


def in_latex(made: Sheet) -> str:
    """A sheet as a ``tabular`` of LaTeX."""
    lines = [" & ".join(escaped(cell) for cell in line) + r" \\" for line in [made.heads, *made.rows]]
    table = [rf"\begin{{tabular}}{{l{'r' * (len(made.heads) - 1)}}}", r"\hline", lines[0], r"\hline", *lines[1:]]
    notes = [rf"\par\smallskip {escaped(line)}" for line in made.notes]
    title = [rf"{escaped(made.title)}\par\smallskip"] if made.title else []
    return "\n".join([*title, *table, r"\hline", r"\end{tabular}", *notes]) + "\n"


def separated(rows: Sequence[TabledRow], note: str = "", chosen: Sequence[str] = ()) -> str:
    """CSV with every figure and full precision: mean, standard deviation and n in separate columns."""
    names, reported = _names(rows), _reported(rows)
    heads = ["model", "spec", *(head for name in names for head in (name, f"{name} std", f"{name} n"))]
    heads += [*(f"{name} reported" for name in reported), "source", "seeds", "diverged", "parameters", "seconds"]
    heads += ["failed", "seconds per step", "seconds per draw", "data"]
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(heads)
    for row in rows:
        found = [row.metrics.get(name) for name in names]
        figures = [value for f in found for value in ((f.mean, f.std, f.n) if f else (None, None, 0))]
        published = [row.reported.get(name) for name in reported]
        facts = [row.source, row.seeds, len(row.diverged), row.parameters, row.seconds]
        facts += ["; ".join(_flat(why) for why in row.failed.values()), row.seconds_per_step, row.seconds_per_draw]
        facts += [canonical(row.data)]
        table.writerow([row.name, row.spec, *figures, *published, *facts])
    return written.getvalue()


Form = Callable[[Sequence[TabledRow], str, Sequence[str]], str]
"""From rows, a note below them, and the figures that are shown."""

FORMS: dict[str, Form] = {".csv": separated, ".md": markdown, ".tex": latex}


DEFAULT_FACTS = ["seeds", "parameters", "seconds"]
HEADS = {"seconds": "training s", "seconds_per_step": "CPU s/step", "seconds_per_draw": "CPU s/draw"}
"""Heads of facts, where they are not their names."""


def form(path: Path) -> Form:
    """The format of a table in a file with this ending."""
    if ending(path) not in FORMS:
        raise UsageError(f"'{path}' must end in one of {', '.join(FORMS)}")
    return FORMS[ending(path)]


def escaped(text: str) -> str:
    r"""Text as LaTeX sets it.

    >>> print(escaped("50% of a_b ± 0.1"))
    50\% of a\_b $\pm$ 0.1
    """
    return "".join(_TEX.get(c, c) for c in _flat(text)).replace("<= ", r"$\le$ ")


_TEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
}


def _names(rows: Sequence[TabledRow]) -> list[str]:
    """Every figure, measured or reported."""
    measured = dict.fromkeys(name for row in rows for name in row.metrics)
    return list(measured | dict.fromkeys(_reported(rows)))


def _reported(rows: Sequence[TabledRow]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.reported))


def _cell(figure: Figure | None, row: TabledRow) -> str:
    if figure is None:
        return "" if row.seeds else "failed" if row.failed else "diverged" if row.diverged else ""
    if figure.mean is None:
        return "not finite"
    sign = {"bound": "<= ", "exact": ""}.get(figure.kind, f"{figure.kind} ")
    spread = f" ± {figure.std:.4f}" if figure.std is not None else ""
    mean = str(figure.mean) if isinstance(figure.mean, int) else f"{figure.mean:.4f}"
    return f"{sign}{mean}{spread}"


def _seeds(row: TabledRow) -> str:
    ended = [f"{len(some)} {how}" for some, how in ((row.diverged, "diverged"), (row.failed, "failed")) if some]
    return f"{row.seeds} ({', '.join(ended)})" if ended else str(row.seeds)


def _short(seconds: float | None) -> str:
    """Two digits of a time.

    >>> _short(0.000125), _short(1.25)
    ('0.00013', '1.2')
    """
    return "" if seconds is None else f"{seconds:.{max(1 - math.floor(math.log10(seconds or 1.0)), 0)}f}"


FACTS_SHOWN: Mapping[str, Callable[[TabledRow], str]] = {
    "seeds": _seeds,
    "parameters": lambda row: f"{row.parameters:,}" if row.parameters is not None else "",
    "seconds_per_step": lambda row: _short(row.seconds_per_step),
    "seconds_per_draw": lambda row: _short(row.seconds_per_draw),
    "seconds": lambda row: f"{row.seconds:.0f}" if row.seconds is not None else "",
}


def _flat(text: str) -> str:
    return " ".join(text.split())
