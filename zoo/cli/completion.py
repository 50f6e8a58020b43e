"""Shell completion of names and files, without importing plugins.

No plugin is imported for it: what no command has described yet, after an installation, is not offered before one has.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..catalogue.entries import Shelf

Offer = tuple[str, str]
"""A word, and the description that a shell shows next to it."""

LAST: Offer = ("@last", "the run that was trained last")
DEPTH = 3
"""How many folders deep files are offered: ``runs/<spec>/<run>``."""
FOLDERS = 300
"""In how many folders is looked, at most."""


def kinds(incomplete: str) -> list[Offer]:
    """Kinds of component."""
    shelves = _shelves()
    return _offered(((entry.kind, "") for shelf in shelves for entry in shelf.entries), incomplete)


def metrics(incomplete: str) -> list[Offer]:
    return _of_kind("metric", incomplete)


def views(incomplete: str) -> list[Offer]:
    return _of_kind("view", incomplete)


def data(incomplete: str) -> list[Offer]:
    """Data sets, and specs that name theirs."""
    return [*_of_kind("dataset", incomplete), *specs(incomplete)]


def names(incomplete: str) -> list[Offer]:
    """All that ``zoo show`` knows: components, and specs."""
    entries = ((entry.name, entry.summary) for shelf in _shelves() for entry in shelf.entries)
    return [*_offered(entries, incomplete), *specs(incomplete)]


def shipped(incomplete: str) -> list[Offer]:
    """The specs that come with zoo."""
    from ..catalogue.queries import specs_kept

    return _offered(specs_kept().items(), incomplete)


def specs(incomplete: str) -> list[Offer]:
    """Names of shipped specs, and spec files."""
    return [*shipped(incomplete), *_files(incomplete, _is_spec)]


def tables(incomplete: str) -> list[Offer]:
    """Names of shipped tables, and table files."""
    from ..registry.shipped import shipped_tables

    return [*_offered(((name, "") for name in shipped_tables()), incomplete), *_files(incomplete, _is_spec)]


def runs(incomplete: str) -> list[Offer]:
    """Runs that have begun."""
    return [*_offered([LAST], incomplete), *_files(incomplete, _is_run)]


def targets(incomplete: str) -> list[Offer]:
    """Runs, share files, and specs with trained weights."""
    from ..registry.shipped import shipped_weights

    weights = [(name, "") for name in shipped_weights()]
    return [*_with_models(incomplete), *_offered([LAST, *weights], incomplete)]


def declarations(incomplete: str) -> list[Offer]:
    """Whatever declares a model: specs, runs and share files."""
    return [*specs(incomplete), *_with_models(incomplete)]


def examples(incomplete: str) -> list[Offer]:
    """The kinds that a new plugin can begin with."""
    from .scaffold import EXAMPLES

    return _offered(EXAMPLES.items(), incomplete)


def _shelves() -> list[Shelf]:
    from ..catalogue.queries import remembered

    return remembered()


def _of_kind(kind: str, incomplete: str) -> list[Offer]:
    entries = (entry for shelf in _shelves() for entry in shelf.entries if entry.kind == kind)
    return _offered(((entry.name, entry.summary) for entry in entries), incomplete)


def _offered(words: Iterable[Offer], incomplete: str) -> list[Offer]:
    """The words that begin so; one that is there twice, with the first of its descriptions."""
    first: dict[str, str] = {}
    for word, line in words:
        first.setdefault(word, line)
    return [(word, line) for word, line in sorted(first.items()) if word.startswith(incomplete)]


def _with_models(incomplete: str) -> list[Offer]:
    return _files(incomplete, lambda path: _is_run(path) or _is_share(path))


def _files(incomplete: str, wanted: Callable[[Path], bool]) -> list[Offer]:
    """The paths that begin so and are wanted, near ones first, none within a run.

    Folders are not offered: a shell would put a blank behind them.
    """
    folder, start = os.path.split(incomplete)
    level, looked = [Path(folder)], 0
    found: list[Offer] = []
    for depth in range(DEPTH):
        below: list[Path] = []
        for home in level[: FOLDERS - looked]:
            for path in _within(home):
                if depth == 0 and not path.name.startswith(start):
                    continue
                if wanted(path):
                    written = os.path.join(folder, path.relative_to(folder)) if folder else str(path)  # noqa: PTH118
                    found.append((written, ""))
                elif path.is_dir() and not _is_run(path):
                    below.append(path)
        looked += len(level)
        level = below
    return found


def _within(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return


def _is_spec(path: Path) -> bool:
    return path.suffix in (".yaml", ".yml")


def _is_share(path: Path) -> bool:
    return path.suffix == ".safetensors"


def _is_run(path: Path) -> bool:
    try:
        return (path / "resolved.yaml").is_file()
    except OSError:
        return False
