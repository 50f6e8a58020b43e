"""Something to start from: a whole plugin package, or a shipped spec under another name."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from .. import API_VERSION, __version__
from ..distribution import DISTRIBUTION
from ..errors import UsageError, listed, nearest
from ..format.metadata import is_plugin_name, is_spec_name
from ..registry.discovery import found
from ..registry.shipped import shipped_specs
from ..storage.atomic import make_directory, write_new

EXAMPLES = {
    "bijection": "Leaky",
    "conditioner": "GatedMLP",
    "dataset": "Spiral",
    "decoder": "Skipping",
    "distribution": "Secant",
    "encoder": "Skipping",
    "likelihood": "Laplace",
    "mask": "EverySecond",
    "metric": "MedianNLL",
    "model": "Independent",
    "schedule": "Triangle",
    "weighting": "Slowly",
}
"""The kinds that a new plugin can begin with, and the class of its first component."""
MODELINE = "# yaml-language-server: $schema="
"""Before the path of the JSON Schema, in the first line of a spec: editors read it."""
SCHEMA = "zoo.schema.json"
TEXTS = ("Apache-2.0", "BSD-3-Clause", "MIT")
"""The licences whose text a new plugin gets."""


@dataclass(frozen=True)
class NewPlugin:
    """A new package: its folder, its files, and its component."""

    folder: Path
    files: list[str]
    component: str


def new_plugin(name: str, kind: str, folder: Path, licence: str) -> NewPlugin:
    """Write a package with one component of a kind; UsageError if it cannot be written.

    Nothing is overwritten: the folder must not be there.
    """
    _check_name(name)
    if kind not in EXAMPLES:
        raise UsageError(f"no template for kind '{kind}'{nearest(kind, EXAMPLES)}")
    licence = _spdx(licence)
    if folder.exists():
        raise UsageError(f"{folder} already exists: choose a new folder for the plugin")
    component = component_of(kind)
    package = f"zoo_{name.lower().replace('-', '_')}"
    words = {
        "plugin": name,
        "package": package,
        "distribution": f"zoo-{name.lower().replace('_', '-')}",
        "component": component,
        "Class": EXAMPLES[kind],
        "kind": kind,
        "title": f"Components of {name}",
        "spec": component.replace("_", "-"),
        "licence": licence,
        "modeline": f"{MODELINE}../{SCHEMA}",
        "home": DISTRIBUTION,
        "zoo": __version__,
        "api": str(API_VERSION),
        "year": str(datetime.datetime.now(datetime.UTC).year),
    }
    files = {
        "pyproject.toml": _template("plugin", "pyproject.toml.txt"),
        "README.md": _template("plugin", "README.md"),
        ".gitignore": _template("plugin", "gitignore"),
        ".github/workflows/tests.yaml": _template("plugin", "tests.yaml"),
        f"{package}/__init__.py": _template("plugin", "init.py.txt"),
        f"{package}/{component}.py": _template("kinds", f"{kind}.py.txt"),
        "specs/__init__.py": _template("plugin", "specs_init.py.txt"),
        f"specs/{words['spec']}.yaml": "$modeline\n" + _template("kinds", f"{kind}.yaml"),
        "tests/test_laws.py": _template("plugin", "test_laws.py.txt"),
        "tests/test_specs.py": _template("plugin", "test_specs.py.txt"),
    }
    if licence in TEXTS:
        files["LICENSE"] = _template("licences", f"{licence}.txt")
    for path, text in files.items():
        _write(folder / path, Template(text).substitute(words))
    return NewPlugin(folder, list(files), f"{name}.{component}")


def component_of(kind: str) -> str:
    """The name of the first component of a kind: ``GatedMLP`` is ``gated_mlp``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", EXAMPLES[kind]).lower()


def new_spec(like: str, path: Path | None = None) -> Path:
    """Write a shipped spec to a file, by default of its name, and give it the file's name.

    UsageError where the file is there already, or has a name that no spec can have.
    """
    shipped = shipped_specs()
    if like not in shipped:
        raise UsageError(f"unknown spec '{like}'{nearest(like, shipped)}")
    path = path or Path(f"{like}.yaml")
    if path.suffix not in (".yaml", ".yml") or not is_spec_name(path.stem):
        raise UsageError(
            f"{path}: invalid file name for a spec: use letters, digits, '.', '_' and '-', ending in .yaml"
        )
    text = shipped[like].read_text(encoding="utf-8")
    if path.exists():
        raise UsageError(f"{path} already exists")
    text = re.sub(r"\A# yaml-language-server: .*$", MODELINE + SCHEMA, text, flags=re.M)
    _write(path, re.sub(r"(?m)^name: .*$", f"name: {path.stem}", text, count=1))
    return path


def _check_name(name: str) -> None:
    if not is_plugin_name(name):
        raise UsageError(f"invalid plugin name {name!r}: use letters, digits, '-' and '_'")
    if not name[-1].isalnum():
        raise UsageError(f"invalid package name {name!r}: it must end in a letter or a digit")
    claimed = [plugin.distribution for plugin in found() if plugin.name == name]
    if claimed:
        raise UsageError(f"the plugin name '{name}' is already used by {listed(claimed)}; choose another")


def _spdx(licence: str) -> str:
    """A licence as packages name it; UsageError where the package would not install with it."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return canonicalize_license_expression(licence)
    except InvalidLicenseExpression:
        raise UsageError(
            f"invalid licence {licence!r}: expected an SPDX identifier, such as {' or '.join(TEXTS)}"
        ) from None


def _template(*names: str) -> str:
    place: Traversable = resources.files("zoo.cli") / "templates"
    for name in names:
        place = place / name
    return place.read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    make_directory(path.parent)
    write_new(path, lambda aside: aside.write_text(text, encoding="utf-8"))
