"""Plugins made by hand: entry points at modules that a test writes, or at those of the tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace

from pytest import MonkeyPatch

from zoo.discovery import GROUP, found
from zoo.registry import Registry


def point(name: str, module: str, distribution: str = "stranger", version: str = "1.0") -> EntryPoint:
    """An entry point as an installed distribution would bring it."""
    made = EntryPoint(name, module, GROUP)
    vars(made)["dist"] = SimpleNamespace(name=distribution, version=version)
    return made


def registry_with(*points: EntryPoint) -> Registry:
    """What is installed, and these."""
    return Registry(found([*entry_points(group=GROUP), *points]))


@contextmanager
def installed(*points: EntryPoint) -> Iterator[Registry]:
    """Within this block these are installed as well, for whoever opens a share file or writes one."""
    registry = registry_with(*points)
    with MonkeyPatch.context() as patch:
        for module in (
            "registry",
            "spec.load",
            "run",
            "stored",
            "exporting",
            "provenance",
            "describing",
            "testing.holding",
            "testing.cases",
        ):
            patch.setattr(import_module(f"zoo.{module}"), "installed", lambda: registry)
        yield registry


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
