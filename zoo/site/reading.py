"""Reader of pages of HTML: their anchors, references, and the words of their sections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit

HEADINGS = ("h1", "h2", "h3")
SILENT = ("svg", "math", "details")
"""Elements whose text is not searched."""
BLOCKS = ("p", "li", "td", "th", "pre", "br", "summary", "div", "small")
"""Elements that end a word."""


@dataclass
class Section:
    """A heading with what follows it; the first one of a page has level 1."""

    level: int
    anchor: str
    title: str = ""
    text: str = ""


@dataclass
class Reading:
    """A page as a reader finds it."""

    anchors: set[str] = field(default_factory=set)
    references: list[str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.sections[0].title if self.sections else ""


def read(html: str) -> Reading:
    """The anchors, references and sections of a page.

    >>> found = read('<h1 id="a">Title</h1><p>Some <a href="b.html">words</a>.</p>')
    >>> found.title, found.sections[0].text, found.anchors, found.references
    ('Title', 'Some words.', {'a'}, ['b.html'])
    """
    parser = _Parser()
    parser.feed(html)
    for section in parser.found.sections:
        section.title, section.text = (" ".join(text.split()) for text in (section.title, section.text))
    return parser.found


def broken(pages: Mapping[str, Reading], files: Iterable[str]) -> Iterator[str]:
    """One message for each reference of a page that leads to nothing on the site."""
    there = {*pages, *files}
    for page, reading in pages.items():
        for address in reading.references:
            url = urlsplit(address)
            if url.scheme or url.netloc:
                continue
            if url.path.startswith("/"):
                yield f"{page}: the address '{address}' must be relative to its page"
                continue
            target = normpath(join(dirname(page), unquote(url.path))) if url.path else page
            if target not in there:
                yield f"{page}: '{address}' leads to no page or file of the site"
            elif url.fragment and target in pages and unquote(url.fragment) not in pages[target].anchors:
                yield f"{page}: '{address}' leads to no anchor of {target}"


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found = Reading()
        self._silent: list[str] = []
        self._heading: Section | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self.found.anchors.add(values["id"])
        self.found.references += [values[name] for name in ("href", "src", "xlink:href") if name in values]
        if tag in SILENT or values.get("class") == "anchor" or tag in self._silent:
            self._silent.append(tag)
        if tag in HEADINGS:
            self._heading = Section(int(tag[1]), values.get("id", ""))
            self.found.sections.append(self._heading)
        if tag in BLOCKS:
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        if self._silent and tag == self._silent[-1]:
            self._silent.pop()
        if tag in HEADINGS:
            self._heading = None

    def handle_data(self, data: str) -> None:
        if self._silent or not (data.strip() or self.found.sections):
            return
        if not self.found.sections:  # a page may begin without a heading
            self.found.sections.append(Section(1, ""))
        if self._heading is not None:
            self._heading.title += data
        else:
            self.found.sections[-1].text += data
