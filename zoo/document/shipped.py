"""The specs and tables that come with zoo, by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path

TABLES = "tables"
"""The folder of the shipped specs that holds tables of them."""


def shipped_specs() -> dict[str, Path]:
    """The specs that come with zoo, by name."""
    return dict(_specs_in(_home()))


@cache
def _specs_in(home: Path) -> Mapping[str, Path]:
    tables = shipped_tables().values()
    found = [path for path in sorted(home.rglob("*.yaml")) if path not in tables]
    return {path.relative_to(home).with_suffix("").as_posix(): path for path in found}


def shipped_tables() -> dict[str, Path]:
    """The tables of models that come with zoo, by name."""
    return {path.stem: path for path in sorted((_home() / TABLES).glob("*.yaml"))}


def _home() -> Path:
    return Path(str(resources.files("zoo.specs")))
