"""The specs, tables and trained weights that come with zoo and with plugins, by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path

from .discovery import OWN_WEIGHTS, SPECS, WEIGHTS, folder_of, found

TABLES = "tables"
"""The folder of specs that holds tables of them."""


def shipped_specs() -> dict[str, Path]:
    """The specs that come with zoo, by name, and those of plugins: ``acme.moons``."""
    tables = shipped_tables().values()
    return {name: path for name, path in _files(tuple(sys.path), SPECS, "*.yaml").items() if path not in tables}


def shipped_tables() -> dict[str, Path]:
    """The tables of models that come with zoo and with plugins, by name."""
    return dict(_files(tuple(sys.path), SPECS, "*.yaml", TABLES))


def shipped_weights() -> dict[str, Path]:
    """The share files of shipped specs, each by the name of its spec.

    Those of zoo are a distribution of their own, which may be missing; a checkout has them.
    """
    return dict(_files(tuple(sys.path), WEIGHTS, "*.safetensors"))


def is_shipped(file: Path) -> bool:
    """Whether a share file came with an installed distribution."""
    return file in _files(tuple(sys.path), WEIGHTS, "*.safetensors").values()


def has_own_weights() -> bool:
    """Whether the weights of zoo's own specs are installed."""
    return any(not prefix for prefix, _ in _folders(WEIGHTS))


@cache
def _files(path: tuple[str, ...], group: str, pattern: str, below: str = ".") -> Mapping[str, Path]:
    """The files in folders of a group of entry points, or in a subfolder of each, by prefix and relative path."""
    return {
        prefix + file.relative_to(home).with_suffix("").as_posix(): file
        for prefix, folder in _folders(group)
        for home in [folder / below]
        for file in sorted(home.rglob(pattern))
    }


def _folders(group: str) -> Iterator[tuple[str, Path]]:
    """The folders of a group, each with the prefix of its names; zoo's own come first and have none."""
    own = _own(group)
    if own is not None:
        yield "", own
    for one in found(group=group):
        folder = folder_of(one.module) if one.fault is None and (one.prefix or own is None) else None
        if folder is not None:
            yield one.prefix, folder


def _own(group: str) -> Path | None:
    """The folder of zoo's own: its specs are part of it, its weights may lie in a checkout."""
    if group == SPECS:
        return Path(str(resources.files("zoo.specs")))
    checkout = Path(__file__).parents[2] / "weights" / OWN_WEIGHTS
    return checkout if checkout.is_dir() else None
