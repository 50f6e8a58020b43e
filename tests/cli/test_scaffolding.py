"""What `zoo new` writes works as it is, for every kind; and it refuses what would not."""

from __future__ import annotations

import doctest
import importlib
import json
import os
import pty
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fake_plugins import installed, point
from typer.testing import CliRunner, Result

from zoo.cli.app import app
from zoo.cli.scaffold import EXAMPLES, component_of
from zoo.registry.shipped import shipped_specs
from zoo.spec.load import read_merged

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
GENERAL = {".github/workflows/tests.yaml", ".gitignore", "LICENSE", "tests/test_laws.py", "tests/test_specs.py"}
"""The files of a new plugin that are the same whatever it brings."""


@dataclass(frozen=True)
class Made:
    """A new plugin, installed for as long as a test runs."""

    name: str
    package: str
    folder: Path

    def test(self, module: str) -> dict[str, Any]:
        """One of its test modules, run for its names."""
        return runpy.run_path(str(self.folder / "tests" / f"{module}.py"))


def invoke(*args: object) -> Result:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(params=EXAMPLES)
def made(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    name = f"new-{request.param}"
    folder, package = tmp_path / name, f"zoo_new_{request.param}"
    assert invoke("new", "plugin", name, "--kind", request.param, "-o", folder).exit_code == 0
    monkeypatch.syspath_prepend(folder)
    points = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]["zoo.plugins"]
    assert points == {name: package}
    with installed(point(name, package, f"zoo-{name}", "0.1.0")):
        yield Made(name, package, folder)


def test_a_new_plugin_passes_its_own_tests(made: Made, tmp_path: Path) -> None:
    """All that its own tests run: examples, laws, and its spec, whole and small."""
    component = made.package + "." + component_of(made.name.removeprefix("new-"))
    assert doctest.testmod(importlib.import_module(component)).failed == 0
    (laws,) = made.test("test_laws")["test_law"].pytestmark
    for law in laws.args[1]:
        law()
    specs = made.test("test_specs")
    (spec,) = specs["SPECS"]
    specs["test_it_fits_together"](spec)
    specs["test_it_keeps_what_zoo_promises"](spec)


def test_a_new_plugin_is_written_as_ruff_would(made: Made) -> None:
    config = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    for command in (["format", "--check"], ["check"]):
        done = subprocess.run(
            [BIN / "ruff", *command, *config, made.folder], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_the_example_is_what_a_new_plugin_grows_into(tmp_path: Path) -> None:
    """The worked example keeps up with the templates."""
    assert invoke("new", "plugin", "acme", "-o", tmp_path / "acme").exit_code == 0
    example = ROOT / "examples" / "zoo-acme"
    written = {
        path.relative_to(tmp_path / "acme").as_posix() for path in (tmp_path / "acme").rglob("*") if path.is_file()
    }
    assert written >= GENERAL
    for name in GENERAL - {"LICENSE"}:  # which names the year
        assert (example / name).read_text() == (tmp_path / "acme" / name).read_text(), name
    ours, theirs = (tomllib.loads((at / "pyproject.toml").read_text()) for at in (example, tmp_path / "acme"))
    for table in (ours, theirs):
        del table["tool"]["ruff"], table["project"]["description"]
    assert ours == theirs


@pytest.mark.parametrize(
    ("licence", "text"),
    [("MIT", "MIT License"), ("BSD-3-Clause", "BSD 3-Clause License"), ("apache-2.0", "Version 2.0")],
)
def test_a_licence_comes_with_its_text(licence: str, text: str, tmp_path: Path) -> None:
    assert invoke("new", "plugin", "mine", "--licence", licence, "-o", tmp_path / "mine").exit_code == 0
    assert text in (tmp_path / "mine" / "LICENSE").read_text()
    project = tomllib.loads((tmp_path / "mine" / "pyproject.toml").read_text())["project"]
    assert project["license"].lower() == licence.lower()
    assert project["license"] in (tmp_path / "mine" / "README.md").read_text()


def test_another_licence_is_named_without_its_text(tmp_path: Path) -> None:
    assert invoke("new", "plugin", "mine", "--licence", "GPL-3.0-or-later", "-o", tmp_path / "mine").exit_code == 0
    assert not (tmp_path / "mine" / "LICENSE").exists()
    assert 'license = "GPL-3.0-or-later"' in (tmp_path / "mine" / "pyproject.toml").read_text()


def test_a_terminal_is_asked_for_the_licence(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [str(BIN / "zoo"), "new", "plugin", "mine"]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, cwd=tmp_path) as asked:
        os.close(theirs)
        os.write(ours, b"BSD-3-Clause\n")
        told = asked.stdout.read() if asked.stdout else b""
        assert asked.wait(timeout=60) == 0
    os.close(ours)
    assert told == b"zoo-mine\n"
    assert "BSD 3-Clause" in (tmp_path / "zoo-mine" / "LICENSE").read_text()


REFUSED = {
    "a space": (["a b"], "invalid plugin name 'a b': use letters, digits"),
    "a path": (["../mine"], "invalid plugin name '../mine'"),
    "nothing": ([""], "invalid plugin name ''"),
    "an end": (["mine-"], "invalid package name 'mine-': it must end in a letter"),
    "a name of zoo's": (["flows"], "the plugin name 'flows' is already used by zoo; choose another"),
    "a near kind": (["mine", "--kind", "bijektion"], "no template for kind 'bijektion'; did you mean 'bijection'?"),
    "no kind": (["mine", "--kind", "zzz"], "no template for kind 'zzz'; known: bijection, conditioner, dataset"),
    "a licence": (
        ["mine", "--licence", "Do what you want"],
        "invalid licence 'Do what you want': expected an SPDX identifier",
    ),
    "quotes": (["mine", "--licence", 'MIT"\nx = "'], ": expected an SPDX identifier"),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses_a_plugin_that_would_not_install(words: list[str], message: str, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    refused = invoke("new", "plugin", *words, "-o", folder)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert message in refused.stderr
    assert not folder.exists()


def test_overwrites_no_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    refused = invoke("new", "plugin", "mine", "-o", tmp_path / "mine")
    assert (refused.exit_code, list((tmp_path / "mine").iterdir())) == (2, [])
    assert "already exists" in refused.stderr


def test_says_what_it_wrote(tmp_path: Path) -> None:
    told = json.loads(invoke("new", "plugin", "mine", "-o", tmp_path / "mine", "--json").stdout)
    assert told["component"] == "mine.leaky"
    assert sorted(told["files"]) == sorted(
        path.relative_to(tmp_path / "mine").as_posix() for path in (tmp_path / "mine").rglob("*") if path.is_file()
    )


def test_a_new_spec_is_the_shipped_one_under_another_name(tmp_path: Path) -> None:
    """Every shipped spec, wherever it is copied to: what it extends is found by name."""
    for name, shipped in shipped_specs().items():
        path = tmp_path / "my" / f"{Path(name).name}.v2.yaml"
        assert invoke("new", "spec", path, "--like", name).stdout == f"{path}\n"
        ours, theirs = (read_merged(spec) for spec in (path, shipped))
        assert ours == theirs | {"name": path.stem}
    assert path.read_text().startswith("#")


def test_a_new_spec_bears_the_shipped_name_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("new", "spec", "--like", "realnvp-2d").stdout == "realnvp-2d.yaml\n"
    again = invoke("new", "spec", "--like", "realnvp-2d")
    assert (again.exit_code, again.stderr) == (2, "error: realnvp-2d.yaml already exists\n")


@pytest.mark.parametrize(
    ("file", "like", "message"),
    [
        ("mine.yaml", "realnvp2d", "unknown spec 'realnvp2d'; did you mean 'realnvp-2d'?"),
        ("my spec.yaml", "realnvp", "invalid file name for a spec: use letters"),
        ("mine.txt", "realnvp", "ending in .yaml"),
        (".yaml", "realnvp", "ending in .yaml"),
    ],
)
def test_refuses_a_spec_that_nobody_could_read(file: str, like: str, message: str, tmp_path: Path) -> None:
    refused = invoke("new", "spec", tmp_path / file, "--like", like)
    assert refused.exit_code == 2
    assert message in refused.stderr
    assert list(tmp_path.iterdir()) == []
