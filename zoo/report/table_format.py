"""A table of models as text: for a terminal, and as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from ..catalogue.markdown import fenced
from ..errors import UsageError
from ..registry.outputs import ending
from .table_runs import Figure, TabledRow
from .text_table import columns, fitted


@dataclass(frozen=True)
class Sheet:
    """Cells of a table, and the notes below it."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]
    title: str = ""


def sheet(rows: Sequence[TabledRow], note: str = "", chosen: Sequence[str] = ()) -> Sheet:
    """A row for each model: figures over the seeds next to reported ones, with their sources below."""
    names, reported = chosen or [name for name in _names(rows) if "." not in name], _reported(rows)
    sources = list(dict.fromkeys(row.source for row in rows if row.reported and row.source))
    body = []
    for row in rows:
        mark = f" [{sources.index(row.source) + 1}]" if row.source in sources else ""
        cells = [row.name]
        for name in names:
            cells += [_cell(row.metrics.get(name), row)]
            if name in reported:
                cells += [f"{row.reported[name]:g}{mark}" if name in row.reported else ""]
        ended = [f"{len(some)} {how}" for some, how in ((row.diverged, "diverged"), (row.failed, "failed")) if some]
        lost = f" ({', '.join(ended)})" if ended else ""
        count = f"{row.parameters:,}" if row.parameters is not None else ""
        body.append([*cells, f"{row.seeds}{lost}", count, _seconds(row)])
    heads = ["model"]
    for name in names:
        heads += [name, f"{name} reported"] if name in reported else [name]
    notes = [*([note] if note else []), *(f"[{i}] reported: {source}" for i, source in enumerate(sources, 1))]
    notes += [f"{row.name}, seed {seed}: {_flat(why)}" for row in rows for seed, why in row.failed.items()]
    return Sheet([*heads, "seeds", "parameters", "training s"], body, notes)


def plain(rows: Sequence[TabledRow], note: str = "", chosen: Sequence[str] = ()) -> str:
    """For a terminal."""
    return on_terminal(sheet(rows, note, chosen))


def on_terminal(made: Sheet, width: int | None = None) -> str:
    """A sheet in so many columns of characters, or in as many as it takes."""
    cells = [[cell.replace("±", "+-") for cell in row] for row in made.rows]
    table = columns(cells, made.heads) if width is None else fitted(cells, made.heads, width)
    title = [*wrap(made.title, width or 120), ""] if made.title else []
    return "\n".join([*title, table, *(f"\n{line}" for line in made.notes)])


def markdown(rows: Sequence[TabledRow], note: str = "", chosen: Sequence[str] = ()) -> str:
    """A table of GitHub's Markdown."""
    return in_markdown(sheet(rows, note, chosen))


def in_markdown(made: Sheet) -> str:
    """A sheet as a table of GitHub's Markdown."""
    lines = [made.heads, ["---", *["---:"] * (len(made.heads) - 1)], *made.rows]
    table = ["| " + " | ".join(_flat(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]
    title = [fenced(made.title, "text") + "\n"] if made.title else []
    return "\n".join([*title, *table, *(f"\n{line}" for line in made.notes)]) + "\n"


def latex(rows: Sequence[TabledRow], note: str = "", chosen: Sequence[str] = ()) -> str:
    """A ``tabular`` of LaTeX, which needs no package."""
    return in_latex(sheet(rows, note, chosen))


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
    heads += ["failed"]
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(heads)
    for row in rows:
        found = [row.metrics.get(name) for name in names]
        figures = [value for f in found for value in ((f.mean, f.std, f.n) if f else (None, None, 0))]
        published = [row.reported.get(name) for name in reported]
        facts = [row.source, row.seeds, len(row.diverged), row.parameters, row.seconds]
        facts += ["; ".join(_flat(why) for why in row.failed.values())]
        table.writerow([row.name, row.spec, *figures, *published, *facts])
    return written.getvalue()


Form = Callable[[Sequence[TabledRow], str, Sequence[str]], str]
"""From rows, a note below them, and the figures that are shown."""

FORMS: dict[str, Form] = {".csv": separated, ".md": markdown, ".tex": latex}


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
    return f"{sign}{figure.mean:.4f}{spread}"


def _seconds(row: TabledRow) -> str:
    return f"{row.seconds:.0f}" if row.seconds is not None else ""


def _flat(text: str) -> str:
    return " ".join(text.split())
