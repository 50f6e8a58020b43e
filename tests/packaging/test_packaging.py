"""What is put into a wheel, and what a command costs before it does anything."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest
from environments import wheel_of

from zoo import __version__
from zoo.distribution import DISTRIBUTION
from zoo.spec import shipped_specs

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = {"zoo": "zoo", "plugins": "zoo.plugins", "specs": "zoo.specs", "docs": "zoo.docs"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """A wheel of a copy of the checkout, so that nothing is left in this one."""
    return ZipFile(wheel_of(tmp_path_factory.mktemp("wheel")))


def test_a_wheel_holds_zoo_and_nothing_else(wheel: ZipFile) -> None:
    assert {name.split("/")[0] for name in wheel.namelist()} == {"zoo", f"generative_zoo-{__version__}.dist-info"}


def test_a_wheel_holds_every_file(wheel: ZipFile) -> None:
    held = set(wheel.namelist())
    for folder, package in FOLDERS.items():
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".yaml", ".yml", ".md", ".png", ".css") or path.name == "py.typed":
                name = f"{package.replace('.', '/')}/{path.relative_to(ROOT / folder).as_posix()}"
                assert name in held, name
    assert "zoo/py.typed" in held
    assert {f"zoo/specs/{name}.yaml" for name in shipped_specs()} <= held


def test_a_wheel_has_its_entry_points(wheel: ZipFile) -> None:
    text = wheel.read(f"generative_zoo-{__version__}.dist-info/entry_points.txt").decode()
    assert "zoo = zoo.cli:app" in text
    for name, module in PROJECT["project"]["entry-points"]["zoo.plugins"].items():
        assert f"{name} = {module}" in text


def test_the_distribution_has_one_name() -> None:
    assert PROJECT["project"]["name"] == DISTRIBUTION
    own = [words for words in PROJECT["project"]["optional-dependencies"]["dev"] if words.startswith(DISTRIBUTION)]
    assert own and not any(re.match(r"zoo\b", words) for words in PROJECT["project"]["optional-dependencies"]["dev"])


TEXTS = [
    path
    for folder in ("zoo", "plugins", "specs", "docs", "examples", "tests/zoo-toys", "benchmarks")
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and path.suffix in (".py", ".yaml", ".md", ".toml", ".txt", ".sh", ".cfg")
] + [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "pyproject.toml")]


def test_nobody_is_sent_to_the_index_for_zoo() -> None:
    """There ``zoo`` is another project, so no text asks pip for it, and no package depends on it."""
    asked = re.compile(
        r"""pip3? install [^\n`]*(?<![\w./-])zoo(?![\w.-])|["']zoo(\[[\w,]+\])?(\s*[=<>~!]=?[^"']*)?["'],?\s*[\]#]"""
    )
    for path in TEXTS:
        lines = [
            line for line in path.read_text(encoding="utf-8").splitlines() if "pip" in line or "dependencies" in line
        ]
        assert not [line for line in lines if asked.search(line)], path
    assert asked.search("pip install 'zoo[docs]'") and asked.search('dependencies = ["zoo>=0.1.0"]')
    assert not asked.search("pip install generative-zoo zoo-acme==1.0") and not asked.search("pip install -e .zoo")


def test_packages_listed_are_those_on_disk() -> None:
    found = set()
    for folder, package in FOLDERS.items():
        for path in (ROOT / folder).rglob("__init__.py"):
            inner = path.parent.relative_to(ROOT / folder).parts
            found.add(".".join([package, *inner]))
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == found


def test_every_folder_with_modules_is_a_package() -> None:
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), path


def test_every_family_is_an_entry_point() -> None:
    families = {path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py")}
    points = PROJECT["project"]["entry-points"]["zoo.plugins"]
    assert points == {name: f"zoo.plugins.{name}" for name in families}


def test_specs_are_named_after_their_files() -> None:
    from zoo.spec.load import read_merged

    for name, path in shipped_specs().items():
        assert read_merged(path)["name"] == Path(name).name


INVOKE = "from typer.testing import CliRunner; from zoo.cli import app; code = CliRunner().invoke(app, {}).exit_code"
WAITS = {
    "import": "import zoo",
    "header": "import zoo.errors, zoo.format.header, zoo.shape, zoo.event",
    "help": INVOKE.format(["--help"]) + "; assert code == 0",
    "version": INVOKE.format(["--version"]) + "; assert code == 0",
    "help of a command": INVOKE.format(["train", "--help"]) + "; assert code == 0",
    "usage error": INVOKE.format(["train"]) + "; assert code == 2",
}


@pytest.mark.parametrize("code", WAITS.values(), ids=WAITS)
def test_torch_waits(code: str) -> None:
    probe = f"import sys; {code}; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
