"""Plugins made by hand: entry points at modules that a test writes, or at those of the tests."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from textwrap import dedent
from types import ModuleType, SimpleNamespace

from pytest import MonkeyPatch

import zoo
from zoo.registry.discovery import PLUGINS, found
from zoo.registry.registry import Registry


def point(name: str, module: str, distribution: str = "stranger", version: str = "1.0") -> EntryPoint:
    """An entry point as an installed distribution would bring it."""
    made = EntryPoint(name, module, PLUGINS)
    vars(made)["dist"] = SimpleNamespace(name=distribution, version=version)
    return made


def registry_with(*points: EntryPoint) -> Registry:
    """What is installed, and these."""
    return Registry(found([*entry_points(group=PLUGINS), *points]))


@contextmanager
def installed(*points: EntryPoint) -> Iterator[Registry]:
    """Within this block these are installed as well, for whoever opens a share file or writes one."""
    registry = registry_with(*points)
    with MonkeyPatch.context() as patch:
        known, ours = (
            import_module("zoo.registry.registry").installed,
            lambda: registry,
        )  # one function, so that blocks nest
        for module in _core():
            if getattr(module, "installed", None) is known:
                patch.setattr(module, "installed", ours)
        yield registry


@cache
def _core() -> list[ModuleType]:
    """All modules of the core, imported: one that came later would remember what was patched."""
    names = (found.name for found in pkgutil.walk_packages(zoo.__path__, "zoo."))
    return [import_module(name) for name in names if not name.startswith(("zoo.plugins", "zoo.__main__"))]


@contextmanager
def plugin(folder: Path, text: str, version: str, name: str = "acme") -> Iterator[Registry]:
    """Within this block a plugin of one module is installed, of the distribution ``NAME-zoo`` in this version."""
    module = f"{name}_{version.replace('.', '_')}"
    (folder / f"{module}.py").write_text(dedent(text))
    with MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.delitem(sys.modules, module, raising=False)
        with installed(point(name, module, f"{name}-zoo", version)) as registry:
            yield registry
