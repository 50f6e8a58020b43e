"""The site of the documentation: everything that is installed has a page, links lead somewhere, formulas are set."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html.parser import HTMLParser
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from fake_plugins import point
from typer.testing import CliRunner

import zoo
from zoo.catalogue.entries import Shelf
from zoo.catalogue.queries import catalogue
from zoo.cli.app import app
from zoo.registry.discovery import PLUGINS, found
from zoo.registry.registry import Registry
from zoo.registry.shipped import shipped_specs
from zoo.share.file import export
from zoo.site.build import pages, sources
from zoo.site.component_pages import path_of, path_of_kind
from zoo.spec import load_spec

DOCS = Path(__file__).parents[2] / "docs"
TOYS = Path(__file__).parents[1] / "zoo-toys"


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_links_lead_somewhere_in_the_folder_too(page: Path) -> None:
    """Not only in the site: who reads the folder has no pages of what is installed."""
    for address in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert (DOCS / address).is_file(), address


@pytest.fixture(scope="module")
def shelves() -> list[Shelf]:
    return catalogue()


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return pages()


@dataclass(frozen=True)
class Documented:
    """A site that ``zoo docs`` built: its folder, and what was said of it."""

    folder: Path
    told: dict[str, Any]


STRANGER = r'''
"""Masks of a stranger."""
from zoo import Mask, component

@component("own")
class Own(Mask):
    r"""A mask of one's own.

    It keeps :math:`\nosuch{x}` of <b>*all*</b> | [more](nowhere.md) (`standard_normal`).
    """
'''


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Documented:
    """The whole site, once. Two plugins of strangers are installed beside zoo's."""
    home = tmp_path_factory.mktemp("docs")
    (home / "documented_masks.py").write_text(STRANGER)
    spec = load_spec("realnvp-2d")
    drawn = export(home / "flow.safetensors", spec, zoo.build(spec).eval(), step=0, data=None)
    points = [*entry_points(group=PLUGINS), point("acme", "documented_masks"), point("toys", "zoo_toys", "zoo-toys")]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOYS)
        patch.syspath_prepend(home)
        patch.setattr("zoo.catalogue.queries.found", lambda: found(points))
        patch.setattr("zoo.site.build.shipped_weights", lambda: {"realnvp-2d": drawn})
        registry = Registry(found(points))
        for module in ("catalogue.describe", "site.build"):
            patch.setattr(f"zoo.{module}.installed", lambda: registry)
        done = CliRunner().invoke(app, ["docs", "-o", str(home / "site"), "--json"])
    assert done.exit_code == 0, done.output
    return Documented(home / "site", json.loads(done.stdout))


def test_everything_has_a_page(made: dict[str, str], shelves: list[Shelf]) -> None:
    for shelf in shelves:
        for entry in shelf.entries:
            text = made[path_of((entry.kind, entry.name))]
            assert text.startswith(f"# {entry.name}\n")
            assert f"{shelf.distribution} {shelf.version}" in text
            assert entry.example in text
            assert all(f"| `{row.name}` |" in text for row in entry.parameters)
    assert {f"models/{name}.md" for name in shipped_specs()} <= made.keys()


def test_pages_say_which_laws_hold(made: dict[str, str]) -> None:
    coupling = made[path_of(("bijection", "affine_coupling"))]
    assert "[`inverse_inverts`](../bijection.md#inverse_inverts)" in coupling
    assert "nothing_leaks" not in coupling
    assert "### `inverse_inverts`" in made[path_of_kind("bijection")]
    assert "### `nothing_leaks`" in made[path_of(("model", "autoregressive"))]
    assert "[`has_a_schema`](../schedule.md#has_a_schema)" in made[path_of(("schedule", "cosine"))]


def test_pages_lead_to_each_other(made: dict[str, str]) -> None:
    assert "[realnvp](../../models/realnvp.md)" in made[path_of(("bijection", "affine_coupling"))]
    assert '<a href="../reference/bijection/affine_coupling.html">affine_coupling</a>' in made["models/realnvp.md"]
    assert "[`adamw`](../reference/optimizer/adamw.md)" in made["models/realnvp.md"]
    assert "| `mask` | [mask](../mask.md) |  |" in made[path_of(("bijection", "affine_coupling"))]
    assert "[vae-dsprites](vae-dsprites.md)" in made["models/beta-vae.md"]


def test_no_restructured_text_is_left(made: dict[str, str]) -> None:
    for path, text in made.items():
        assert ":math:" not in text and ".. math::" not in text, path


def test_the_site_is_clean(built: Documented) -> None:
    """Links lead somewhere, anchors too, the navigation has all, formulas are set but the one that is none."""
    (problem,) = built.told["problems"]
    assert problem.startswith(r"reference/mask/acme.own: the formula '\\nosuch{x}': ")
    assert problem.endswith('Unknown command "\\nosuch".')


def test_strangers_have_pages(built: Documented) -> None:
    text = (built.folder / "reference/model/toys.gan.html").read_text()
    assert "zoo-toys 1.0" in text
    assert "stranger 1.0" in (built.folder / "reference.html").read_text()


def test_words_stay_words(built: Documented) -> None:
    text = (built.folder / "reference/mask/acme.own.html").read_text()
    link = '<a href="../distribution/standard_normal.html"><code>standard_normal</code></a>'
    assert rf"<code>\nosuch{{x}}</code> of &lt;b&gt;*all*&lt;/b&gt; | [more](nowhere.md) ({link})." in text


def test_a_model_with_weights_has_a_picture(built: Documented) -> None:
    assert (built.folder / "pictures/realnvp-2d.png").read_bytes().startswith(b"\x89PNG")
    assert '<img src="../pictures/realnvp-2d.png"' in (built.folder / "models/realnvp-2d.html").read_text()
    assert '<img src="pictures/realnvp-2d.png"' in (built.folder / "models.html").read_text()
    assert "<img" not in (built.folder / "models/vae.html").read_text()


def test_every_formula_is_set(built: Documented, shelves: list[Shelf]) -> None:
    for entry in [entry for shelf in shelves for entry in shelf.entries]:
        written = len(re.findall(r":math:`|\.\. math::", entry.doc))
        page = built.folder / path_of((entry.kind, entry.name)).replace(".md", ".html")
        assert page.read_text().count("<math") >= written, page


def test_the_site_has_every_page_and_asks_no_other_host(built: Documented, made: dict[str, str]) -> None:
    written = {path.name for path in DOCS.glob("*.md")} | made.keys()
    assert {str(Path(path).with_suffix(".html")) for path in written} <= _names(built.folder)
    for page in built.folder.rglob("*.html"):
        text = page.read_text()
        assert "$$" not in re.sub("<pre.*?</pre>", "", text, flags=re.DOTALL), page
        loads = Loads()
        loads.feed(text)
        assert all(not re.match(r"(?:https?:)?//", address) for address in loads.addresses), page
    text = (built.folder / "reference/bijection/affine_coupling.html").read_text()
    assert '<math display="block"><msub><mi>z</mi><mi>a</mi></msub>' in text


class Loads(HTMLParser):
    """The addresses that a browser fetches by itself to show a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        fetched = values.get("src") or (values.get("href") if tag == "link" else None)
        self.addresses += [fetched] if fetched else []


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.html")}


def test_what_is_no_site_stays(tmp_path: Path) -> None:
    kept = tmp_path / "mine" / "thesis.tex"
    kept.parent.mkdir()
    kept.write_text("years of work")
    for folder in (kept.parent, kept):
        done = CliRunner().invoke(app, ["docs", "-o", str(folder)])
        assert done.exit_code == 2
        assert "exists and was not built by zoo docs: choose another folder" in done.stderr
    assert kept.read_text() == "years of work"


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.site.build.find_spec", lambda name: None if name == "math_core" else object())
    done = CliRunner().invoke(app, ["docs", "-o", str(tmp_path / "site")])
    assert done.exit_code == 4
    assert done.stderr == "error: the documentation needs math-core: pip install 'generative-zoo[docs]'\n"
    assert not list(tmp_path.iterdir())


# -- search ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def index(built: Documented) -> list[list[str]]:
    """Address, title of the page, where it belongs, heading and words of each section."""
    text = (built.folder / "search-index.js").read_text()
    found: list[list[str]] = json.loads(text.removeprefix("zooIndex = ").removesuffix(";\n"))
    return found


def test_the_search_knows_every_page(built: Documented, index: list[list[str]]) -> None:
    assert {row[0] for row in index if "#" not in row[0]} == _names(built.folder)
    by_address = {row[0]: row for row in index}
    _, title, place, heading, words = by_address["reference/bijection/affine_coupling.html"]
    assert (title, place, heading) == ("affine_coupling", "Reference / bijection", "")
    assert "one part of the event passes through and sets scale and shift of the rest" in words
    assert "reference/mask/acme.own.html" in by_address
    assert by_address["files.html#sharing"][3] == "Sharing"


def test_the_search_works_from_a_disk(built: Documented) -> None:
    """Browsers fetch nothing from a disk, but they run scripts from it: the index is one."""
    script = (built.folder / "site.js").read_text()
    assert not re.search(r"\bfetch\b\s*\(|XMLHttpRequest|\bimport\b", script)
    page = (built.folder / "reference/mask/acme.own.html").read_text()
    assert '<script defer src="../../site.js" data-root="../../">' in page


FIND = """
const {found, excerpt} = require(process.argv[1]);
const fs = require("fs");
const window = {};
const index = JSON.parse(fs.readFileSync(process.argv[2], "utf8").replace("zooIndex = ", "").replace(/;\\n$/, ""));
const queries = JSON.parse(process.argv[3]);
console.log(JSON.stringify(queries.map((query) => [found(index, query).map((row) => row[0]), excerpt("a b c", "b")])));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="the script of the site needs node to run here")
def test_the_best_result_is_first(built: Documented) -> None:
    wanted = {
        "affine coupling": "reference/bijection/affine_coupling.html",
        "Affine_Coupling": "reference/bijection/affine_coupling.html",
        "gated pixelcnn": "models/gated-pixelcnn.html",
        "sharing": "files.html#sharing",
        "quick start": "index.html#quick-start",
    }
    files = [str(built.folder / name) for name in ("site.js", "search-index.js")]
    done = subprocess.run(
        ["node", "-e", FIND, *files, json.dumps([*wanted, "no such words anywhere", "  "])],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    answers = json.loads(done.stdout)
    assert [found[0] for found, _ in answers[: len(wanted)]] == list(wanted.values())
    assert [found for found, _ in answers[len(wanted) :]] == [[], []]
    assert answers[0][1] == ["a ", "b", " c"]


def test_a_page_that_is_not_in_the_contents_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(DOCS, tmp_path / "docs")
    (tmp_path / "docs" / "new.md").write_text("# New")
    (tmp_path / "docs" / "files.md").unlink()
    monkeypatch.setattr("zoo.site.build.resources.files", lambda package: tmp_path / "docs")
    assert sources({}).problems == [
        "site.yaml: 'files.md' is listed, and no such page exists",
        "site.yaml: 'new.md' exists, and is not listed",
    ]
