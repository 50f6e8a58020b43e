"""The page of a model: its picture, its figures, its commands, the diagram of its parts, and its spec."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

import zoo
from zoo.catalogue.queries import catalogue, specs
from zoo.registry.shipped import shipped_specs
from zoo.share.file import export
from zoo.site import pictures as drawing
from zoo.site import spec_pages
from zoo.site.comments import FULL, WIDTH, narrowed
from zoo.site.diagram import Box, Group, box, diagram, grouped
from zoo.site.pictures import N, pictures
from zoo.spec import load_spec, parts_in
from zoo.spec.spec import Reached

SPECS = sorted(shipped_specs())
REACHED = [
    Reached(
        metric="nll", value=0.33211, standard_error=0.0123, kind="bound", protocol="test split, seed 0",
        file="realnvp-2d.safetensors",
    ),
    Reached(metric="elbo", value=2.0, protocol="one H200"),
]  # fmt: skip


@cache
def loaded(name: str) -> zoo.Spec:
    return load_spec(name, say=lambda _: None)


# -- diagram -----------------------------------------------------------------------------------------------------------


def expanded(boxes: Iterator[Box | Group] | tuple[Box, ...] | tuple[Group, ...]) -> Iterator[Box]:
    """Every box as often as the model has that part."""
    for one in boxes:
        if isinstance(one, Group):
            for _ in range(one.times):
                yield from expanded(one.boxes)
        else:
            yield one
            for _, groups in one.slots:
                yield from expanded(groups)


@pytest.mark.parametrize("name", SPECS)
def test_a_diagram_has_each_part_as_often_as_the_model(name: str) -> None:
    model = loaded(name).model
    shown = [one.name for one in expanded((box(model),))]
    assert sorted(shown) == sorted(part.name for part in parts_in(model))


def leaf(name: str) -> Box:
    return Box("bijection", name, (), ())


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ("abc", "abc"),
        ("aab", "2a b"),
        ("abababc", "3(ab) c"),
        ("abbabbabb", "3(a2b)"),
        ("xababab", "x 3(ab)"),
        ("aaaa", "4a"),
        ("", ""),
    ],
)
def test_what_comes_several_times_in_a_row_is_one_group(names: str, shown: str) -> None:
    def written(groups: tuple[Any, ...]) -> str:
        if groups and isinstance(groups[0], Box):
            return "".join(one.name for one in groups)
        inner = [written(group.boxes) for group in groups]
        return "".join(
            text if group.times == 1 else f"{group.times}{text if len(text) == 1 else f'({text})'}"
            for group, text in zip(groups, inner, strict=True)
        )

    assert written(grouped([leaf(name) for name in names])) == shown.replace(" ", "")


class Boxes(HTMLParser):
    """Links of a diagram, and the ends of elements that were never begun."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    ("name", "repeats"),
    [("realnvp", ["2", "2", "2"]), ("glow", ["8", "8"]), ("pixelcnn", ["7"]), ("vae", [])],
)
def test_a_diagram_is_boxes_that_lead_to_components(name: str, repeats: list[str]) -> None:
    spec = loaded(name)
    html = diagram(spec.data, spec.model, lambda kind, component: f"{kind}/{component}.html")
    assert re.findall(r"<b>(\d+) &times;</b>", html) == repeats
    assert "\n\n" not in html  # Markdown takes a block of HTML to end there
    reader = Boxes()
    reader.feed(html)
    assert not reader.open
    assert {f"{part.kind}/{part.name}.html" for part in parts_in([spec.data, spec.model])} == set(reader.links)


def test_a_box_shows_what_the_spec_says_of_it() -> None:
    model = zoo.declare(
        zoo.Model,
        {
            "type": "vae",
            "latent": 7,
            "encoder": {"type": "mlp", "width": 9},
            "decoder": "mlp",
            "likelihood": "bernoulli",
        },
    )
    shown = box(model)
    assert shown.facts == ("latent 7",)
    inner = {role: groups[0].boxes[0] for role, groups in shown.slots}
    encoder, decoder = inner["encoder"], inner["decoder"]
    assert isinstance(encoder, Box) and isinstance(decoder, Box)
    assert (encoder.kind, encoder.facts, decoder.facts) == ("encoder", ("width 9",), ())
    assert {"posterior", "prior", "weighting"} < inner.keys()  # defaults are parts as well


# -- the text of a spec ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPECS)
def test_comments_become_narrow_and_say_the_same(name: str) -> None:
    text = shipped_specs()[name].read_text()
    shown = narrowed(text)
    assert yaml.safe_load(shown) == yaml.safe_load(text)
    words = [line for line in text.splitlines() if "yaml-language-server" not in line]
    assert _words("\n".join(words)) == _words(shown)
    for line in shown.splitlines():
        prose = re.match(r" *# \S", line)
        assert not prose or len(line) <= WIDTH or " " not in line.strip().removeprefix("# "), line


def _words(text: str) -> list[str]:
    return [word for word in text.split() if word != "#"]


def test_lines_of_comments_that_stand_alone_are_not_joined() -> None:
    full = "# " + "word " * 21 + "end"
    assert len(full) > FULL
    text = f"# yaml-language-server: $schema=x\n# one\n# two\n{full}\n# goes on\n#   zoo train x\n#\n# next\nname: x\n"
    lines = narrowed(text).splitlines()
    assert lines[:2] == ["# one", "# two"]
    assert lines[-5:] == ["# word word word end goes on", "#   zoo train x", "#", "# next", "name: x"]


# -- pages -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown() -> list[spec_pages.Exhibit]:
    return spec_pages.exhibits(specs(catalogue()))


def measured(one: spec_pages.Exhibit, weights: Path | None, reached: list[Reached]) -> spec_pages.Exhibit:
    """The same spec with other weights and figures."""
    listed = replace(one.listed, weights=weights, reached=[figure.model_dump() for figure in reached])
    return replace(one, listed=listed, spec=one.spec.model_copy(update={"reached": reached}))


def test_a_page_begins_with_what_the_model_draws(shown: list[spec_pages.Exhibit]) -> None:
    (one,) = (one for one in shown if one.listed.name == "realnvp-2d")
    made = spec_pages.pages([measured(one, Path("x.safetensors"), REACHED)], ["realnvp-2d"])
    page = made["models/realnvp-2d.md"]
    order = [
        "# realnvp-2d\n",
        "![What realnvp-2d draws](../pictures/realnvp-2d.png)",
        r"- **nll ≤ 0.332 ± 0.012**, proved by `realnvp-2d.safetensors`: test split, seed 0",
        "- **elbo 2**, which no file proves: one H200",
        "zoo sample realnvp-2d -o realnvp-2d.png",
        "zoo evaluate realnvp-2d",
        "zoo train realnvp-2d",
        "## Parts",
        '<figure class="parts">',
        "## Spec",
        "```yaml",
        "## Resolved",
    ]
    assert sorted(order, key=page.index) == order
    front = made["models.md"]
    card = front[front.index("[![realnvp-2d](pictures/realnvp-2d.png)](models/realnvp-2d.md)") :]
    assert (
        card.index("**[realnvp-2d](models/realnvp-2d.md)**")
        < card.index("`nll ≤ 0.332 ± 0.012`")
        < card.index("</div>")
    )


def test_a_page_without_weights_has_no_picture_and_trains(shown: list[spec_pages.Exhibit]) -> None:
    made = spec_pages.pages([measured(one, None, []) for one in shown], [])
    for path, page in made.items():
        assert "![" not in page and "zoo sample" not in page.partition("## Parts")[0], path
        assert path == "models.md" or f"zoo train {path[7:-3]} " in page


# -- pictures ----------------------------------------------------------------------------------------------------------


def file_of(folder: Path, name: str, **small: Any) -> Path:
    spec = load_spec(name, small=True)
    return export(folder / f"{name}.safetensors", spec, zoo.build(spec).eval(), step=0, data=None)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    names = ["realnvp-2d", "made", "digits-classifier"]
    found = {name: file_of(tmp_path, name) for name in names}
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(found["made"].read_bytes()[:-9])
    return found | {"broken": broken}


def test_pictures_are_drawn_once_from_share_files(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Densities in the plane, and draws of images; a classifier has none, and a damaged file costs nothing else."""
    found, problems = pictures(files)
    assert found.keys() == {"realnvp-2d", "made"}
    (problem,) = problems
    assert problem.startswith("the picture of broken cannot be drawn: ") and "\n" not in problem
    with Image.open(found["made"]) as image:
        assert image.size == (6 * 50 + 2, 6 * 50 + 2) and N == 36
    with Image.open(found["realnvp-2d"]) as image:
        assert image.size[0] > 320 < image.size[1]
    monkeypatch.setattr(drawing, "_ways", lambda file: pytest.fail("drawn again"))
    assert pictures({"made": files["made"]}) == ({"made": found["made"]}, [])


def test_an_error_within_a_model_is_a_problem(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(of: Path, to: Path) -> None:
        raise RuntimeError("no\nmemory")

    monkeypatch.setattr(drawing, "_ways", lambda file: [fails])
    assert pictures({"made": files["made"]}) == ({}, ["the picture of made cannot be drawn: RuntimeError: no memory"])
