"""What is remembered of plugins: the same as what importing them tells, anew when they change, and never in the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from fake_plugins import point
from typer.testing import CliRunner

from zoo.catalogue.describe import describe_spec
from zoo.catalogue.docstrings import first_sentence
from zoo.catalogue.entries import Shelf
from zoo.catalogue.queries import catalogue
from zoo.cli.app import app
from zoo.registry import discovery
from zoo.registry.discovery import Found, found
from zoo.registry.registry import Registry
from zoo.registry.shipped import shipped_specs
from zoo.spec.load import read_merged

MASK = '''
    """Masks of a stranger."""
    from zoo import Mask, component

    @component("NAME")
    class Own(Mask):
        """A mask of one's own."""
'''
ANSWER = """
import runpy, sys
sys.argv = ["zoo", *sys.argv[1:]]
try:
    runpy.run_module("zoo", run_name="__main__")
except SystemExit:
    pass
print("torch" in sys.modules)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place of its own for what is remembered, and for modules that a test writes."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "modules").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "modules")
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    """As in a new process: the files of modules are looked at again."""
    discovery.sources.cache_clear()
    discovery.environment.cache_clear()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The plugins that were imported to be described."""
    names: list[str] = []
    monkeypatch.setattr("zoo.catalogue.describe.installed", lambda: Registry(Stranger.all))
    from zoo.catalogue import describe

    real = describe.describe

    def described(plugin: Found) -> Shelf:
        names.append(plugin.name)
        return real(plugin)

    monkeypatch.setattr(describe, "describe", described)
    return names


class Stranger:
    """A plugin of one module in a folder."""

    all: list[Found] = []

    def __init__(self, home: Path, name: str, text: str = MASK) -> None:
        self.path = home / "modules" / f"{name}_module.py"
        self.write(text, name)
        (self.found,) = found([point(name, f"{name}_module", f"{name}-zoo")])
        Stranger.all = [*(one for one in Stranger.all if one.name != name), self.found]

    def write(self, text: str, name: str) -> None:
        self.path.write_text(dedent(text.replace("NAME", name)))
        state = self.path.stat()
        os.utime(self.path, ns=(state.st_atime_ns, state.st_mtime_ns + len(text)))
        sys.modules.pop(self.path.stem, None)
        forget()


def run(*words: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", ANSWER, *words], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "words", [["list"], ["show", "affine_coupling"], ["show", "nice"], ["schema", "--json"]], ids=str
)
def test_the_second_answer_is_the_first_without_torch(words: list[str], home: Path) -> None:
    """The first one is given here, where nothing is remembered yet; another process remembers it."""
    assert not (home / "cache").exists()
    first = CliRunner().invoke(app, words)
    assert first.exit_code == 0
    *second, imported = run(*words)
    assert imported == "False"
    assert first.stdout.splitlines() == second


def test_a_plugin_is_imported_once_and_when_its_source_changes(home: Path, asked: list[str]) -> None:
    one, two = Stranger(home, "one"), Stranger(home, "two")
    first = catalogue([one.found, two.found])
    assert [entry.name for shelf in first for entry in shelf.entries] == ["one.one", "two.two"]
    assert catalogue([one.found, two.found]) == first
    assert asked == ["one", "two"]
    two.write(MASK.replace("of one's own", "that has changed"), "two")
    (unchanged, changed) = catalogue([one.found, two.found])
    assert asked == ["one", "two", "two"]
    assert unchanged == first[0]
    assert changed.entries[0].summary == "A mask that has changed"


def test_another_version_is_another_plugin(home: Path, asked: list[str]) -> None:
    one = Stranger(home, "one")
    catalogue([one.found])
    (newer,) = found([point("one", "one_module", "one-zoo", "2.0")])
    Stranger.all = [newer]
    (shelf,) = catalogue([newer])
    assert shelf.version == "2.0" and asked == ["one", "one"]


def test_a_broken_plugin_says_why_until_something_is_installed(
    home: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = Stranger(home, "bad", "import a_module_that_comes_late\n")
    (shelf,) = catalogue([bad.found])
    assert shelf.error is not None and "a_module_that_comes_late" in shelf.error
    assert catalogue([bad.found]) == [shelf]
    assert asked == ["bad"]
    (home / "modules" / "a_module_that_comes_late-1.0.dist-info").mkdir()
    (home / "modules" / "a_module_that_comes_late.py").write_text("")
    forget()
    assert catalogue([bad.found])[0].error is None
    assert asked == ["bad", "bad"]


def test_a_name_that_two_claim_is_nobodys(asked: list[str]) -> None:
    both = found([point("acme", "nowhere", "first"), point("acme", "nowhere", "second")])
    shelves = catalogue(both)
    assert [shelf.distribution for shelf in shelves] == ["first", "second"]
    assert all("first and second" in (shelf.error or "") for shelf in shelves)
    assert asked == []


@pytest.mark.parametrize("damage", ["", "{", '{"stamp": "x"}', '{"value": {}}', "[]", "null"])
def test_what_is_damaged_is_made_again(damage: str, home: Path, asked: list[str]) -> None:
    one = Stranger(home, "one")
    first = catalogue([one.found])
    (file,) = (home / "cache" / "catalogue").glob("one-*.json")
    file.write_text(damage)
    assert catalogue([one.found]) == first
    assert json.loads(file.read_text())["value"]["name"] == "one"


def test_what_is_of_another_form_is_made_again(home: Path, asked: list[str]) -> None:
    one = Stranger(home, "one")
    first = catalogue([one.found])
    (file,) = (home / "cache" / "catalogue").glob("one-*.json")
    kept = json.loads(file.read_text())
    del kept["value"]["entries"][0]["doc"]
    file.write_text(json.dumps(kept))
    assert catalogue([one.found]) == first


def test_without_a_place_to_write_it_answers_all_the_same(home: Path, asked: list[str]) -> None:
    (home / "cache").write_text("a file, no folder")
    one = Stranger(home, "one")
    assert catalogue([one.found]) == catalogue([one.found])
    assert asked == ["one", "one"]


def test_looking_for_a_module_imports_none(home: Path) -> None:
    package = home / "modules" / "outer_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "inner.py").write_text("")
    assert found([point("x", "outer_package.inner")])[0].stamp()
    assert "outer_package" not in sys.modules


@pytest.mark.parametrize("name", shipped_specs())
def test_a_glance_at_a_spec_sees_what_reading_it_does(name: str) -> None:
    path = shipped_specs()[name]
    node = read_merged(path)
    model = node["model"]
    called = model["type"] if isinstance(model, dict) else model
    assert describe_spec(path) == (called, first_sentence(node.get("description", "")))
