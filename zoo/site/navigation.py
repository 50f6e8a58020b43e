"""The table of contents of the site, and the part of it that a page shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A page in the table of contents, and those below it."""

    title: str
    page: str
    below: tuple[Entry, ...] = ()

    def __iter__(self) -> Iterator[Entry]:
        """This entry, and all below it."""
        yield self
        for entry in self.below:
            yield from entry


@dataclass(frozen=True)
class Shown:
    """A line of the navigation of a page: how deep it is, and whether it is the page itself."""

    title: str
    page: str
    depth: int
    current: bool


def tree(paths: Iterable[str]) -> list[Entry]:
    """The entries of made pages: those of a folder are below the page of the same name.

    >>> [(entry.title, len(entry.below)) for entry in tree(["models.md", "models/vae.md", "models/nice.md"])]
    [('Models', 2)]
    """
    known = list(paths)

    def entry(page: str) -> Entry:
        home = page.removesuffix(".md")
        below = tuple(entry(path) for path in known if path.rpartition("/")[0] == home)
        name = home.rpartition("/")[2]
        return Entry(name if "/" in home else name.capitalize(), page, below)

    return [entry(page) for page in known if "/" not in page]


def around(contents: Sequence[Entry], page: str) -> Iterator[Shown]:
    """The navigation of a page: the first level, the levels above the page, and the pages next to it and below."""

    def lines(entries: Iterable[Entry], depth: int) -> Iterator[Shown]:
        for entry in entries:
            yield Shown(entry.title, entry.page, depth, entry.page == page)
            if any(inner.page == page for inner in entry):
                yield from lines(entry.below, depth + 1)

    return lines(contents, 0)


def above(contents: Sequence[Entry], page: str) -> list[Entry]:
    """The entries that a page is below, from the first level down."""
    for entry in contents:
        if entry.page != page and any(inner.page == page for inner in entry):
            return [entry, *above(entry.below, page)]
    return []
