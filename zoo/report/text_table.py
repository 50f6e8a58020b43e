"""Tables for a person: parts of a model, figures of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..assembly.build import Summary


def columns(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> str:
    """A plain table; a column whose every cell is a number is set flush right.

    >>> print(columns([["a", "1"], ["bc", "12"]], ["name", "n"]))
    name   n
    a      1
    bc    12
    """
    cells = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    right = [bool(rows) and all(_numeric(row[i]) for row in rows) for i in range(len(heads))]
    lines = [
        "  ".join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join(lines)


def fitted(rows: Sequence[Sequence[str]], heads: Sequence[str], width: int) -> str:
    """A plain table of at most so many characters a line: columns without room stand below, the first one repeated.

    >>> print(fitted([["a long name", "1", "22"]], ["name", "one", "two"], 12))
    name     one
    a ...me    1
    <BLANKLINE>
    name     two
    a ...me   22
    """
    widest = max(len(row[i]) for row in [heads, *rows] for i in range(1, len(heads)))
    names = [_shortened(row[0], max(min(width // 2, width - widest - 2), 7)) for row in rows]
    first = max(map(len, [heads[0], *names]))
    blocks: list[list[int]] = [[]]
    room = width - first
    for index in range(1, len(heads)):
        needed = 2 + max(len(row[index]) for row in [heads, *rows])
        if needed > room and blocks[-1]:
            blocks.append([])
            room = width - first
        blocks[-1].append(index)
        room -= needed
    tables = [
        columns([[name, *(row[i] for i in block)] for name, row in zip(names, rows, strict=True)],
                [heads[0], *(heads[i] for i in block)])
        for block in blocks
    ]  # fmt: skip
    return "\n\n".join(tables)


def _shortened(text: str, most: int) -> str:
    """A text with its middle removed if it is too long: the end of a path is most informative."""
    kept = max(most - 3, 2)
    return text if len(text) <= most else f"{text[: kept // 2]}...{text[-(kept - kept // 2) :]}"


def table_of_parts(summary: Summary) -> str:
    """The table that ``zoo build`` prints."""
    rows = [
        ["  " * part.depth + part.type, part.kind, part.takes, part.gives, f"{part.parameters:,}"]
        for part in summary.parts
    ]
    event = summary.event
    levels = f"{event.levels} levels" if event.levels is not None else "real numbers"
    frozen = f" ({summary.trained:,} trained, {summary.frozen:,} frozen)" if summary.frozen else ""
    return "\n".join(
        [
            f"{summary.name}: {event.name} {event.shape}, {levels}",
            "",
            columns(rows, ["part", "kind", "takes", "gives", "parameters"]),
            "",
            *_table_of_players(summary),
            f"{summary.parameters:,} parameters{frozen}, {size(summary.weights_bytes)}; "
            f"about {size(summary.training_bytes)} to train",
        ]
    )


def _table_of_players(summary: Summary) -> list[str]:
    """Table of the players' training settings, if there are several players."""
    if len(summary.players) == 1:
        return []
    heads = ["player", "optimizer", "schedule", "clip", "updates", "every", "parameters"]
    rows = []
    for one in summary.players:
        clip = f"{one.clip:g}" if one.clip else ""
        numbers = [clip, str(one.updates), str(one.every), f"{one.parameters:,}"]
        rows.append([one.name, one.optimizer, one.schedule or "", *numbers])
    return [columns(rows, heads), ""]


def size(count: int) -> str:
    """Bytes in the unit that reads best.

    >>> size(1234567)
    '1.2 MB'
    """
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def _numeric(cell: str) -> bool:
    return not cell or cell.replace(",", "").replace(".", "").lstrip("-").isdigit()
