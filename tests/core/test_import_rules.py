"""Who may import whom, read from the text of the modules."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import zoo
from zoo.testing import __all__ as testing

ROOT = Path(__file__).parents[2]
CORE = sorted((ROOT / "zoo").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))

ORDER = [
    *("distribution", "errors", "shape", "event", "settings", "progress"),
    *("storage", "hub", "document", "interfaces", "format", "registry", "plot", "spec", "catalogue"),
    *("engine", "assembly", "data", "run", "share", "inference", "training"),
    *("export", "report", "testing", "site", "cli"),
]
"""From the bottom: at run time a package imports only itself and what stands before it in this list."""


COMMON = ("nets", "shared", "distributions")
"""What every family of plugins may import besides itself."""


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Absolute names of what a module imports, and whether it does so at run time."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    package = _module(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in typing_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            home = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{home}.{alias.name}", id(node) not in typing_only


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = ("zoo", *parts) if parts[0] == "plugins" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", CORE, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_core_knows_no_plugin(path: Path) -> None:
    for name, _ in _imports(path):
        assert not name.startswith(("zoo.plugins", "plugins")), name


def test_the_core_names_no_component() -> None:
    """No text of the core outside of docstrings is the name of a component."""
    from zoo.registry.registry import installed

    headlines = {"nll", "elbo", "bits_per_dim"}  # figures that a progress line shows first, where they are there
    # Of specs and programs; parts of diffusion and a view have these names.
    words = {"codes", "data", "likelihood", "path", "score"}
    names = {name for _, name in installed().components()} - headlines - words
    for path in CORE:
        if "testing" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        found = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        commands = {"table"} if "cli" in path.parts else set()  # data and a command that share a word
        assert not found & names - commands, path


@pytest.mark.parametrize("path", PLUGINS, ids=lambda p: str(p.relative_to(ROOT)))
def test_plugins_import_public_names_and_their_own_family(path: Path) -> None:
    family = path.relative_to(ROOT / "plugins").parts[0]
    for name, at_run_time in _imports(path):
        if name.split(".")[0] != "zoo":
            continue
        own = name.startswith(tuple(f"zoo.plugins.{room}." for room in (family, *COMMON)))
        public = name == "zoo" or (name.count(".") == 1 and name.removeprefix("zoo.") in zoo.__all__)
        home, _, called = name.rpartition(".")
        law = home == "zoo.testing" and called in testing and ("laws" in path.parts or not at_run_time)
        assert own or public or law, f"{path}: {name}"


@pytest.mark.parametrize("path", CORE, ids=lambda p: str(p.relative_to(ROOT)))
def test_packages_import_in_order(path: Path) -> None:
    own = _rank(_module(path))
    for name, at_run_time in _imports(path):
        if name.startswith("zoo.") and at_run_time and path.parent != ROOT / "zoo":
            assert _rank(name) <= own, f"{path} imports {name}"


def _rank(name: str) -> int:
    """Where the package of a module stands in the order; what the root package defines itself comes first."""
    head = [*name.split("."), ""][1]
    if head in ORDER:
        return ORDER.index(head)
    return -1 if head in {*zoo.__all__, "__version__", "API_VERSION", ""} else len(ORDER)


def test_every_package_has_a_place_in_the_order() -> None:
    found = {path.relative_to(ROOT / "zoo").parts[0].removesuffix(".py") for path in CORE}
    assert found - {"__init__", "__main__"} == set(ORDER)


def test_no_folder_is_too_large_to_read() -> None:
    """About a dozen modules in a folder; kinds and laws, which are lists by nature, excepted."""
    for folder in {path.parent for path in [*CORE, *PLUGINS]}:
        if folder.name in ("interfaces", "zoo") or "laws" in folder.parts:
            continue
        inside = [p for p in folder.iterdir() if p.name not in ("__init__.py", "__pycache__")]
        assert len(inside) <= 15, folder


def test_the_core_has_no_circles() -> None:
    """Whatever module is imported first, it can be."""
    graph = {_module(path): {n for n, runs in _imports(path) if runs} for path in CORE}
    assert "zoo.registry.part" in graph
    for name in graph:
        importlib.import_module(name) if name != "zoo.__main__" else None


def test_what_is_public_resolves() -> None:
    assert len(set(zoo.__all__)) == len(zoo.__all__)
    for name in zoo.__all__:
        assert getattr(zoo, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = zoo.nonsense


def test_what_is_typed_is_what_is_public() -> None:
    """The names under TYPE_CHECKING, the homes and ``__all__`` agree."""
    tree = ast.parse((ROOT / "zoo" / "__init__.py").read_text())
    typed = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.If)
        for inner in ast.walk(node)
        if isinstance(inner, ast.ImportFrom)
        for alias in inner.names
    }
    assert typed == set(zoo.__all__)


@pytest.mark.parametrize("path", [*CORE, *PLUGINS], ids=lambda p: str(p.relative_to(ROOT)))
def test_manners(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module says what it is"
    if path.name not in ("__init__.py", "__main__.py"):
        assert "from __future__ import annotations" in text
    stars = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.names[0].name == "*"]
    assert not stars
    assert "import pickle" not in text
