"""Build of the documentation site, from written pages and generated ones."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..catalogue.queries import catalogue, specs
from ..distribution import install_hint
from ..errors import PluginError, UsageError, ZooError
from ..registry.registry import installed
from ..storage.atomic import make_directory, remove
from . import spec_pages
from .component_pages import Reference
from .mathml import set_formulas

EXTRA = {"mkdocs": "mkdocs", "material": "mkdocs-material", "math_core": "math-core"}
"""What the extra ``docs`` brings: a module, and what installs it."""
CONFIGURATION = "mkdocs.yml"
MARK = ".zoo-site"
"""A file in each built site: what has it may be replaced."""


@dataclass(frozen=True)
class Site:
    """A built site: the folder, the number of pages, and the problems."""

    folder: Path
    pages: int
    problems: list[str]


def build(folder: Path) -> Site:
    """Build the site of all that is installed, in place of an older one; `zoo.PluginError` without the extra ``docs``.

    A formula that cannot be set, or a link that leads nowhere, costs nothing else: it is one of the ``problems``.
    """
    require()
    if not _may_be_replaced(folder):
        raise UsageError(f"{folder} exists and was not built by zoo docs: choose another folder")
    found, place = pages(), folder.absolute()
    try:
        make_directory(place.parent)
        with TemporaryDirectory(prefix=f".{place.name}.", suffix=".tmp", dir=place.parent) as aside:
            written, site = write(Path(aside, "pages"), found), Path(aside, "site")
            problems = _render(written, site, _navigation(list(found)))
            (site / MARK).touch()
            remove(folder)
            site.rename(place)
            return Site(folder, len(list(written.rglob("*.md"))), problems)
    except OSError as error:
        raise ZooError(f"{folder} could not be written: {error.strerror or error}") from error


def require() -> None:
    """`zoo.PluginError` where something of the extra ``docs`` is missing."""
    missing = [distribution for module, distribution in EXTRA.items() if find_spec(module) is None]
    if missing:
        raise PluginError(f"the documentation needs {', '.join(missing)}: {install_hint('docs')}")


def pages() -> dict[str, str]:
    """Path -> Markdown of the generated pages."""
    shelves = catalogue()
    shown = spec_pages.exhibits(specs(shelves))
    return spec_pages.pages(shown) | Reference(shelves, installed(), spec_pages.users(shown)).pages()


def write(folder: Path, made: Mapping[str, str]) -> Path:
    """The folder, with the pages that come with zoo and those that were made."""
    with resources.as_file(resources.files("zoo.docs")) as home:
        shutil.copytree(home, folder, ignore=shutil.ignore_patterns("__*", CONFIGURATION))
    for path, text in made.items():
        page = folder / path
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text + "\n", encoding="utf-8")
    return folder


def _may_be_replaced(folder: Path) -> bool:
    """Whether nothing is there, or an older site."""
    return not folder.exists() or (folder / MARK).is_file() or (folder.is_dir() and not any(folder.iterdir()))


def _navigation(paths: Sequence[str]) -> list[Any]:
    """The made pages, those of a folder below the page of the same name."""

    def below(page: str) -> Any:
        inner = [path for path in paths if path.rpartition("/")[0] == page.removesuffix(".md")]
        return {page.removesuffix(".md").rpartition("/")[2]: [page, *map(below, inner)]} if inner else page

    return [
        {title.capitalize(): entries}
        for page in paths
        if "/" not in page
        for title, entries in below(page).items()
    ]  # fmt: skip


class _Listener(logging.Handler):
    """Log handler that collects warnings of the generator, and sets the formulas of each page."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.problems: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.problems.append(record.getMessage())

    def on_page_content(self, html: str, page: Any, **_: Any) -> str:
        text, wrong = set_formulas(html)
        self.problems += [f"{page.file.src_uri.removesuffix('.md')}: {problem}" for problem in wrong]
        return text


def _render(written: Path, site: Path, made: list[Any]) -> list[str]:
    from mkdocs.commands.build import build as render
    from mkdocs.config import load_config
    from mkdocs.exceptions import MkDocsException

    listener = _Listener()
    with resources.as_file(resources.files("zoo.docs") / CONFIGURATION) as file, _logging_to(listener):
        try:
            config = load_config(str(file), docs_dir=str(written), site_dir=str(site))
            config.nav = [*(config.nav or []), *made]
            config.plugins["zoo"] = listener  # type: ignore[assignment]
            render(config)
        except MkDocsException as error:
            raise ZooError(f"the documentation could not be built: {error}") from error
    return listener.problems


@contextmanager
def _logging_to(listener: logging.Handler) -> Iterator[None]:
    logger = logging.getLogger("mkdocs")
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
