"""Plugins made by hand: entry points at modules that a test writes, or at those of the tests."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from types import SimpleNamespace

from zoo.registry import GROUP, Registry


def point(name: str, module: str, distribution: str = "stranger", version: str = "1.0") -> EntryPoint:
    """An entry point as an installed distribution would bring it."""
    found = EntryPoint(name, module, GROUP)
    vars(found)["dist"] = SimpleNamespace(name=distribution, version=version)
    return found


def registry_with(*points: EntryPoint) -> Registry:
    """What is installed, and these."""
    return Registry([*entry_points(group=GROUP), *points])
