"""Build of the documentation site, from written pages and generated ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from posixpath import dirname, relpath
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import yaml

from ..catalogue.queries import catalogue, specs
from ..distribution import install_hint
from ..errors import PluginError, UsageError, ZooError
from ..registry.registry import installed
from ..registry.shipped import shipped_weights
from ..storage.atomic import make_directory, remove
from . import spec_pages
from .component_pages import Reference
from .markup import highlighting, html_of
from .navigation import Entry, above, around, tree
from .pictures import pictures
from .reading import Reading, broken, read

if TYPE_CHECKING:
    from jinja2 import Template

EXTRA = {
    "markdown_it": "markdown-it-py",
    "mdit_py_plugins": "mdit-py-plugins",
    "pygments": "pygments",
    "jinja2": "jinja2",
    "math_core": "math-core",
}
"""Modules that the extra ``docs`` brings, and what installs each."""
CONTENTS = "site.yaml"
IMAGES = (".png", ".svg")
THEME = Path(__file__).parent / "theme"
INDEX = "search-index.js"
MARK = ".zoo-site"
"""A file in each built site: what has it may be replaced."""


@dataclass(frozen=True)
class Site:
    """A built site: the folder, the number of pages, and the problems."""

    folder: Path
    pages: int
    problems: list[str]


@dataclass(frozen=True)
class Sources:
    """Sources of a site: pages of Markdown by path, other files, the table of contents, and its title."""

    title: str
    description: str
    pages: Mapping[str, str]
    files: Mapping[str, Path]
    contents: Sequence[Entry]
    problems: Sequence[str] = ()


def build(folder: Path) -> Site:
    """Build the site of all that is installed, in place of an older one; `zoo.PluginError` without the extra ``docs``.

    A formula that cannot be set, or a link that leads nowhere, costs nothing else: it is one of the ``problems``.
    """
    require()
    if not _may_be_replaced(folder):
        raise UsageError(f"{folder} exists and was not built by zoo docs: choose another folder")
    drawn, problems = pictures(shipped_weights())
    found, place = sources(pages(drawn), drawn), folder.absolute()
    try:
        make_directory(place.parent)
        with TemporaryDirectory(prefix=f".{place.name}.", suffix=".tmp", dir=place.parent) as aside:
            site = Path(aside, "site")
            problems += _write(found, site)
            (site / MARK).touch()
            remove(folder)
            site.rename(place)
            return Site(folder, len(found.pages), [*found.problems, *problems])
    except OSError as error:
        raise ZooError(f"{folder} could not be written: {error.strerror or error}") from error


def require() -> None:
    """`zoo.PluginError` where something of the extra ``docs`` is missing."""
    missing = [distribution for module, distribution in EXTRA.items() if find_spec(module) is None]
    if missing:
        raise PluginError(f"the documentation needs {', '.join(missing)}: {install_hint('docs')}")


def pages(pictures: Collection[str] = ()) -> dict[str, str]:
    """Path -> Markdown of the generated pages; the specs in ``pictures`` have one."""
    shelves = catalogue()
    shown = spec_pages.exhibits(specs(shelves))
    return spec_pages.pages(shown, pictures) | Reference(shelves, installed(), spec_pages.users(shown)).pages()


def sources(made: Mapping[str, str], pictures: Mapping[str, Path] = MappingProxyType({})) -> Sources:
    """The pages that come with zoo, and those that were made, with the pictures of specs."""
    home = Path(str(resources.files("zoo.docs")))
    written = {path.name: path.read_text(encoding="utf-8") for path in sorted(home.glob("*.md"))}
    listed = yaml.safe_load((home / CONTENTS).read_text(encoding="utf-8"))
    contents = [Entry(title, page) for entry in listed["pages"] for title, page in entry.items()]
    named = {entry.page for entry in contents}
    wrong = dict.fromkeys(named - written.keys(), "is listed, and no such page exists")
    wrong |= dict.fromkeys(written.keys() - named, "exists, and is not listed")
    return Sources(
        listed["title"],
        listed["description"],
        {**written, **made},
        {path.name: path for path in home.iterdir() if path.suffix in IMAGES}
        | {spec_pages.picture_of(name): file for name, file in pictures.items()},
        [*contents, *tree(made)],
        [f"{CONTENTS}: '{page}' {problem}" for page, problem in sorted(wrong.items())],
    )


def _may_be_replaced(folder: Path) -> bool:
    """Whether nothing is there, or an older site."""
    return not folder.exists() or (folder / MARK).is_file() or (folder.is_dir() and not any(folder.iterdir()))


def _write(found: Sources, site: Path) -> list[str]:
    """The files of the site; what is wrong with them."""
    shutil.copytree(THEME, site, ignore=shutil.ignore_patterns("*.html"))
    (site / "highlight.css").write_text(highlighting(), encoding="utf-8")
    for name, file in found.files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, site / name)
    template, problems, readings = _template(), [], dict[str, Reading]()
    for page, text in found.pages.items():
        html, wrong = html_of(text)
        problems += [f"{page.removesuffix('.md')}: {problem}" for problem in wrong]
        readings[_html(page)] = reading = read(html)
        file = site / _html(page)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(template.render(_shown(found, page, html, reading)), encoding="utf-8")
    (site / INDEX).write_text(f"zooIndex = {json.dumps(list(_index(found, readings)))};\n", encoding="utf-8")
    return [*problems, *broken(readings, found.files)]


def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader

    return Environment(loader=FileSystemLoader(THEME), autoescape=True, trim_blocks=True).get_template("page.html")


def _shown(found: Sources, page: str, html: str, reading: Reading) -> dict[str, Any]:
    """Variables of the template."""
    here = dirname(page) or "."
    return {
        "site": found,
        "page": page,
        "title": _title(found, page, reading),
        "body": html,
        "root": "" if here == "." else f"{relpath('.', here)}/",
        "navigation": around(found.contents, page),
        "above": above(found.contents, page),
        "sections": [section for section in reading.sections if section.level == 2],
        "to": lambda other: _html(relpath(other, here)),
    }


def _index(found: Sources, readings: Mapping[str, Reading]) -> Iterator[list[str]]:
    """The sections of all pages for the search: address, title of the page, where it belongs, heading, words."""
    titles = {_html(page): _title(found, page, readings[_html(page)]) for page in found.pages}
    places = {_html(entry.page): above(found.contents, entry.page) for top in found.contents for entry in top}
    for page, reading in readings.items():
        place = " / ".join(entry.title for entry in places.get(page, []))
        for section in reading.sections:
            address = page if section.level == 1 else f"{page}#{section.anchor}"
            yield [address, titles[page], place, "" if section.level == 1 else section.title, section.text]


def _title(found: Sources, page: str, reading: Reading) -> str:
    """A page's own heading, or else its title in the contents."""
    return reading.title or next(entry.title for top in found.contents for entry in top if entry.page == page)


def _html(page: str) -> str:
    return page.removesuffix(".md") + ".html"
