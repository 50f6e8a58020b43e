"""Reference pages in Markdown for all that is installed: one for each component and each kind."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from posixpath import dirname, relpath

from ..catalogue.entries import Entry, Shelf
from ..catalogue.markdown import cell, fenced, line, markdown, table
from ..catalogue.queries import Page
from ..errors import a
from ..interfaces import Causal, Component
from ..registry.registry import Registry
from ..testing import CAUSAL_LAWS
from ..testing.check import laws_of_kind
from ..testing.laws.by_kind import COMPONENT_LAWS

FRONT = "reference.md"
Key = tuple[str, str]
"""Of a component: its kind and its name."""
Law = Callable[..., None]


def path_of(key: Key) -> str:
    """The path of a component's page."""
    return f"reference/{key[0]}/{key[1]}.md"


def path_of_kind(kind: str) -> str:
    return f"reference/{kind}.md"


def link(text: str, path: str, page: str) -> str:
    """A link from one page to another."""
    return f"[{text}]({relpath(path, dirname(page) or '.')})"


class Reference:
    """Source of the reference pages: the catalogue entries, and the classes.

    ``users`` are the shipped specs that name a component: what each is called, and where its page is.
    """

    def __init__(self, shelves: Sequence[Shelf], registry: Registry, users: Mapping[Key, Mapping[str, str]]) -> None:
        self._shelves, self._users = shelves, users
        self._kinds = registry.kinds()
        self._causal = {key for key, cls in registry.components().items() if issubclass(cls, Causal)}
        brought = [Page(shelf, entry) for shelf in shelves for entry in shelf.entries]
        brought.sort(key=lambda page: (page.entry.kind, page.entry.name))
        self._brought = {(page.entry.kind, page.entry.name): page for page in brought}

    def pages(self) -> dict[str, str]:
        """Path -> Markdown, the front page first and a kind before its components."""
        found = {FRONT: self._front()}
        for kind in dict.fromkeys(kind for kind, _ in self._brought):
            found[path_of_kind(kind)] = self._kind(kind)
            found |= {path_of(key): self._component(key) for key in self._brought if key[0] == kind}
        return found

    def _front(self) -> str:
        kinds = dict.fromkeys(kind for kind, _ in self._brought)
        plugins = [
            f"- `{one.name}`, {line(f'{one.distribution} {one.version}')}: {line(_state(one))}" for one in self._shelves
        ]
        return "\n\n".join([
            "# Reference",
            "The installed components. `zoo list` and `zoo show NAME` print the same on a terminal.",
            "\n".join(f"- {link(kind, path_of_kind(kind), FRONT)}: {self._line_of_kind(kind)}" for kind in kinds),
            "## Plugins",
            "\n".join(plugins),
        ])  # fmt: skip

    def _kind(self, kind: str) -> str:
        page, cls = path_of_kind(kind), self._kinds.get(kind)
        links = self._links(page, kind)
        sections = [f"# {kind}"]
        if cls is not None:
            taken = ", ".join(name for name in inspect.signature(cls).parameters if name not in ("args", "kwargs"))
            sections += [markdown(inspect.getdoc(cls) or "", links), f"Its parent builds it as `{kind}({taken})`."]
        own = {key: one.entry for key, one in self._brought.items() if key[0] == kind}
        lines = [f"- {link(f'`{key[1]}`', path_of(key), page)}: {line(of.summary, links)}" for key, of in own.items()]
        sections += ["## Components", "\n".join(lines)]
        laws = _laws_of_kind(cls)
        if laws:
            sections += ["## Laws", f"`zoo.testing` checks them for every {kind}.", _described(laws)]
        return "\n\n".join(sections)

    def _component(self, key: Key) -> str:
        page, (kind, name) = path_of(key), key
        shelf, entry = self._brought[key].shelf, self._brought[key].entry
        head = f"{a(kind).partition(' ')[0].capitalize()} {link(kind, path_of_kind(kind), page)}"
        sections = [
            f"# {name}",
            f"{head} of the plugin `{shelf.name}`: {line(f'{shelf.distribution} {shelf.version}')}.",
            markdown(entry.doc, self._links(page, kind)),
            "## In a spec",
            fenced(entry.example, "yaml"),
            *self._parameters(entry, page),
            *self._law_section(key, page),
        ]
        users = [link(called, path, page) for called, path in self._users.get(key, {}).items()]
        return "\n\n".join([*sections, *(["## Specs with it", ", ".join(users)] if users else [])])

    def _parameters(self, entry: Entry, page: str) -> list[str]:
        links = self._links(page, entry.kind)
        rows = [
            [f"`{row.name}`", self._type(row.type, page), f"`{row.default}`" if row.default else "",
             cell(row.description, links)]
            for row in entry.parameters
        ]  # fmt: skip
        return ["## Parameters", table(["parameter", "type", "default", "meaning"], rows)] if rows else []

    def _type(self, text: str, page: str) -> str:
        """The type of a parameter, with links to the pages of kinds."""
        words = re.split(r"([^\w.-]+)", text)
        if not self._kinds.keys() & set(words):
            return f"`{text}`"
        linked = [link(word, path_of_kind(word), page) if word in self._kinds else line(word) for word in words]
        return "".join(linked).replace("|", "or")

    def _law_section(self, key: Key, page: str) -> list[str]:
        of_kind, lines = _laws_of_kind(self._kinds.get(key[0])), []
        if of_kind:
            of = path_of_kind(key[0])
            names = ", ".join(link(f"`{name}`", f"{of}#{name}", page) for name in of_kind)
            lines += [f"Laws of every {link(key[0], of, page)}: {names}."]
        if key in self._causal:
            lines += ["Laws of causal models:", _described(CAUSAL_LAWS)]
        return ["## Laws", *lines] if lines else []

    def _links(self, page: str, kind: str) -> dict[str, str]:
        """The targets of names in single backticks: components, those of the same kind first, and kinds."""
        # Of kinds that share a name, that of the page itself comes last, before it zoo's own.
        kinds = sorted(self._kinds, key=lambda name: (name == kind, "." not in name))
        found = {self._kinds[name].__name__: path_of_kind(name) for name in kinds}
        for key in sorted(self._brought, key=lambda key: key[0] == kind):
            found[key[1]] = path_of(key)
        return {name: relpath(path, dirname(page)) for name, path in found.items() if path != page}

    def _line_of_kind(self, kind: str) -> str:
        doc = inspect.getdoc(self._kinds[kind]) if kind in self._kinds else ""
        return line(" ".join((doc or "").split("\n\n")[0].split()))


def _laws_of_kind(kind: type[Component] | None) -> Mapping[str, Law]:
    """The laws of every component, and those of a kind."""
    try:
        own = None if kind is None else laws_of_kind(kind)
    except Exception:  # the laws of a plugin's kind may need what only its tests have
        own = None
    return {**COMPONENT_LAWS, **(own.by_name if own is not None else {})}


def _described(laws: Mapping[str, Law]) -> str:
    return "\n\n".join(f"### `{name}`\n\n{markdown(inspect.getdoc(law) or '')}" for name, law in laws.items())


def _state(shelf: Shelf) -> str:
    return shelf.title if shelf.error is None else f"broken: {shelf.error.strip().splitlines()[-1]}"
