"""A page of Markdown for each shipped spec: its picture, its figures, its parts, its text and its resolved form."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import dirname, relpath

from ..catalogue.figures import figure
from ..catalogue.markdown import fenced, line
from ..catalogue.queries import SpecLine
from ..document.yaml import write_yaml
from ..interfaces.component import kind_of
from ..registry.registry import installed
from ..registry.shipped import shipped_specs
from ..spec import Spec, load_spec, parts_in
from .comments import narrowed
from .component_pages import Key, link, path_of
from .diagram import diagram

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


def pages(shown: Sequence[Exhibit], pictures: Collection[str]) -> dict[str, str]:
    """Path -> Markdown, the front page first; the specs in ``pictures`` have one."""
    pictured = {name: picture_of(name) for name in pictures}
    return {FRONT: _front(shown, pictured)} | {one.page: _page(one, pictured.get(one.listed.name)) for one in shown}


def picture_of(name: str) -> str:
    """The path of a spec's picture."""
    return f"pictures/{name}.png"


def _front(shown: Sequence[Exhibit], pictured: Mapping[str, str]) -> str:
    sections = ["# Models", "The specs shipped with zoo and its plugins; `zoo train NAME` trains one."]
    for family in dict.fromkeys(one.listed.family for one in shown):
        own = [one for one in shown if one.listed.family == family]
        cards = [_card(one, pictured.get(one.listed.name)) for one in own]
        sections += [f"## {line(family)}", '<div class="cards">', *cards, "</div>"]
    return "\n\n".join(sections)


def _card(one: Exhibit, picture: str | None) -> str:
    """A spec on the front page: its picture, its name, its description and its first figure."""
    name = one.listed.name
    shown = [f"[![{line(name)}]({relpath(picture, '.')})]({one.page})"] if picture else []
    figures = [f"`{figure(reached)}`" for reached in one.listed.reached[:1]]
    words = [f"**{link(name, one.page, FRONT)}**", line(one.listed.description)]
    return "\n\n".join(['<div class="card">', *shown, *words, *figures, "</div>"])


def _page(one: Exhibit, picture: str | None) -> str:
    name, text = one.listed.name, one.file.read_text(encoding="utf-8")
    base = re.search(r"(?m)^extends: *(\S+) *$", text)
    parent = f" It changes {link(base[1], page_of(base[1]), one.page)}." if base and base[1] in shipped_specs() else ""
    drawn = [f"![What {line(name)} draws]({relpath(picture, dirname(one.page))})"] if picture else []
    return "\n\n".join([
        f"# {line(name)}",
        f"{line(one.spec.description or '')}{parent}",
        *drawn,
        *_figures(one),
        fenced(_commands(one), "sh"),
        "## Parts",
        diagram(one.spec.data, one.spec.model, lambda *key: relpath(path_of(key), dirname(one.page))[:-3] + ".html"),
        *_trained_by(one),
        "## Spec",
        fenced(narrowed(text), "yaml"),
        *_published(one.spec),
        "## Resolved",
        f"<details><summary>What <code>zoo show {line(name)}</code> prints: every default is written out</summary>",
        fenced(write_yaml(one.spec.described()), "yaml"),
        "</details>",
    ])  # fmt: skip


def _figures(one: Exhibit) -> list[str]:
    """The figures of the model, each with the file that proves it."""
    lines = [
        f"- **{line(figure(reached.model_dump()))}**, "
        + (f"proved by `{reached.file}`: " if reached.file else "which no file proves: ")
        + line(reached.protocol)
        for reached in one.spec.reached
    ]
    return ["\n".join(lines)] if lines else []


def _commands(one: Exhibit) -> str:
    """The commands for a model: those that need its weights only where they come with it."""
    name = one.listed.name
    of_weights = [
        (f"zoo sample {name} -o {name}.png", "draw from the trained model"),
        (f"zoo evaluate {name}", "measure it again"),
    ]
    lines = [*(of_weights if one.listed.weights else []), (f"zoo train {name}", "train it")]
    width = max(len(command) for command, _ in lines)
    return "\n".join(f"{command:<{width}}  # {what}" for command, what in lines)


def _trained_by(one: Exhibit) -> list[str]:
    """The parts other than the model and its data: those that train and measure it."""
    inside = {id(part) for part in parts_in([one.spec.model, one.spec.data])}
    others = {(installed().label(kind_of(part.cls)), part.name) for part in one.spec.parts() if id(part) not in inside}
    named = [f"{kind} {link(f'`{name}`', path_of((kind, name)), one.page)}" for kind, name in sorted(others)]
    return [f"Trained and measured by: {', '.join(named)}."] if named else []


def _published(spec: Spec) -> list[str]:
    lines = [
        f"- {line(one.metric)} {one.value:g}: {line(one.source)}" + (f"; {line(one.note)}" if one.note else "")
        for one in spec.published
    ]
    return ["## Published", "\n".join(lines)] if lines else []
