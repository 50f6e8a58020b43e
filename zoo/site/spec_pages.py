"""A page of Markdown for each shipped spec: its text, its parts, and its resolved form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..catalogue.markdown import fenced, line
from ..catalogue.queries import SpecLine
from ..document.yaml import write_yaml
from ..interfaces.component import kind_of
from ..registry.registry import installed
from ..registry.shipped import shipped_specs
from ..spec import Spec, load_spec
from .component_pages import Key, link, path_of

FRONT = "models.md"


@dataclass(frozen=True)
class Exhibit:
    """A shipped spec: its line in a listing, its file, and its declaration."""

    listed: SpecLine
    file: Path
    spec: Spec

    @property
    def page(self) -> str:
        return page_of(self.listed.name)

    @property
    def parts(self) -> list[Key]:
        return sorted({(installed().label(kind_of(part.cls)), part.name) for part in self.spec.parts()})


def page_of(name: str) -> str:
    """The path of a spec's page."""
    return f"models/{name}.md"


def exhibits(lines: Sequence[SpecLine]) -> list[Exhibit]:
    """The shipped specs."""
    files = shipped_specs()
    return [Exhibit(one, files[one.name], load_spec(one.name, say=lambda _: None)) for one in lines]


def users(shown: Sequence[Exhibit]) -> dict[Key, dict[str, str]]:
    """The specs that name a component: their names -> their pages."""
    found: dict[Key, dict[str, str]] = {}
    for one in shown:
        for key in one.parts:
            found.setdefault(key, {})[one.listed.name] = one.page
    return found


def pages(shown: Sequence[Exhibit]) -> dict[str, str]:
    """Path -> Markdown, the front page first."""
    return {FRONT: _front(shown)} | {one.page: _page(one) for one in shown}


def _front(shown: Sequence[Exhibit]) -> str:
    sections = ["# Models", "The specs shipped with zoo; `zoo train NAME` trains one."]
    for family in dict.fromkeys(one.listed.family for one in shown):
        own = [one for one in shown if one.listed.family == family]
        lines = [f"- {link(one.listed.name, one.page, FRONT)}: {line(one.listed.description)}" for one in own]
        sections += [f"## {line(family)}", "\n".join(lines)]
    return "\n\n".join(sections)


def _page(one: Exhibit) -> str:
    name, text = one.listed.name, one.file.read_text(encoding="utf-8")
    base = re.search(r"(?m)^extends: *(\S+) *$", text)
    parent = f" It changes {link(base[1], page_of(base[1]), one.page)}." if base and base[1] in shipped_specs() else ""
    parts = [f"- {kind} {link(f'`{name}`', path_of((kind, name)), one.page)}" for kind, name in one.parts]
    resolved = fenced(write_yaml(one.spec.resolved()), "yaml")
    return "\n\n".join([
        f"# {line(name)}",
        f"{line(one.spec.description or '')}{parent} `zoo train {name}` trains it.",
        fenced(text, "yaml"),
        *_published(one.spec),
        "## Parts",
        "\n".join(parts),
        "## Resolved",
        f"<details><summary>What <code>zoo show {line(name)}</code> prints: every default is written out</summary>",
        resolved,
        "</details>",
    ])  # fmt: skip


def _published(spec: Spec) -> list[str]:
    lines = [
        f"- {line(one.metric)} {one.value:g}: {line(one.source)}" + (f"; {line(one.note)}" if one.note else "")
        for one in spec.published
    ]
    return ["## Published", "\n".join(lines)] if lines else []
