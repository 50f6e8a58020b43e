"""Discovery of installed plugins and the state of their sources, without importing them."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from pathlib import Path

from .. import __version__
from ..distribution import DISTRIBUTION, HOME
from ..format.metadata import is_plugin_name

PLUGINS, SPECS, WEIGHTS = "zoo.plugins", "zoo.specs", "zoo.weights"
"""The groups of entry points: packages of components, folders of specs, folders of share files."""
OWN = "zoo.plugins"
"""The package of the plugins that zoo itself brings."""
OWN_WEIGHTS = "zoo_weights"
"""The package of the weights of zoo's own specs, a distribution of its own."""


@dataclass(frozen=True)
class Found:
    """One entry point, and the reason why its module must not be imported, if one is visible from outside."""

    name: str
    module: str
    distribution: str
    version: str
    fault: str | None = None

    @property
    def prefix(self) -> str:
        """The prefix of the names of its components: empty for those of zoo."""
        return "" if self.distribution == HOME else f"{self.name}."

    def stamp(self) -> str:
        """A digest that changes with the distribution, with its sources and with those of zoo."""
        seen = [repr(self), sys.version, sources("zoo"), sources(self.module.partition(".")[0])]
        return hashlib.sha256("\n".join([*seen, sources(self.module)]).encode()).hexdigest()


def found(points: Iterable[EntryPoint] | None = None, group: str = PLUGINS) -> list[Found]:
    """The installed plugins, or entry points of another group, including broken ones.

    A name that several distributions claim is an error in each of them, but zoo's names stay valid.
    """
    return list(_found_on(tuple(sys.path), group) if points is None else _settled(points))


@cache
def _found_on(path: tuple[str, ...], group: str) -> tuple[Found, ...]:
    """The entry points installed in these folders of ``sys.path``."""
    try:
        return tuple(_settled(entry_points(group=group)))
    except (OSError, ValueError):  # one distribution's entry points cannot be read, and those of all are asked for
        return tuple(_one_by_one(group))


def _one_by_one(group: str) -> Iterator[Found]:
    """The entry points of each distribution separately: an unreadable one does not affect the others."""
    points: list[EntryPoint] = []
    for distribution in distributions():
        try:
            points += distribution.entry_points.select(group=group)
        except (OSError, ValueError) as error:
            name, version = _folder_of(distribution)
            yield Found(name, name, name, version, f"its entry points cannot be read: {error}")
    yield from _settled(points)


@cache
def environment() -> str:
    """A digest of the distributions that are installed, by the names of their folders."""
    folders = [Path(folder or ".") for folder in sys.path]
    names = sorted({path.name for folder in folders if folder.is_dir() for path in folder.glob("*.dist-info")})
    return hashlib.sha256("\n".join(names).encode(errors="surrogateescape")).hexdigest()


def _described(point: EntryPoint) -> Found:
    # By its module, not by the name of a distribution: who packages zoo may call it otherwise, and others may call
    # themselves zoo.
    if point.value in (f"{OWN}.{point.name}", OWN_WEIGHTS):
        return Found(point.name, point.value, HOME, __version__)
    fault = None
    try:
        name, version = _who(point.dist) if point.dist else ("unknown", "unknown")
    except (OSError, ValueError) as error:
        name, version = _folder_of(point.dist)
        fault = f"its metadata cannot be read: {error}"
    if not is_plugin_name(point.name):
        fault = f"invalid plugin name {point.name!r}: use letters, digits, '-' and '_'"
    elif point.value.partition(".")[0] == __name__.partition(".")[0]:
        fault = f"its module is {point.value}, which is part of zoo itself"
    elif name.lower() == HOME:
        fault = f"its distribution has the name '{name}', by which share files refer to zoo itself ({DISTRIBUTION})"
        name = f"{name} of another project"
    return Found(point.name, point.value, name, version, fault)


def _who(distribution: Distribution) -> tuple[str, str]:
    """Name and version, of the head of the metadata: to ask a distribution for either is to parse all of it."""
    text = distribution.read_text("METADATA") if isinstance(distribution, Distribution) else None
    head = (text or "").partition("\n\n")[0]
    name, version = (re.search(rf"(?m)^{key}: *(\S+)", head) for key in ("Name", "Version"))
    return (name[1], version[1]) if name and version else (distribution.name, distribution.version)


def _folder_of(distribution: Distribution | None) -> tuple[str, str]:
    """Name and version as the folder of the metadata has them."""
    folder: Path = getattr(distribution, "_path", Path("unknown"))
    name, _, version = folder.name.removesuffix(".dist-info").removesuffix(".egg-info").partition("-")
    return name, version or "unknown"


def _settled(points: Iterable[EntryPoint]) -> Iterator[Found]:
    claims: dict[str, list[Found]] = {}
    for point in points:
        claims.setdefault(point.name, []).append(_described(point))
    for name, claimed in claims.items():
        yield from _of_one_name(name, list(dict.fromkeys(claimed)))


def _of_one_name(name: str, claimed: list[Found]) -> list[Found]:
    distributions = list(dict.fromkeys(one.distribution for one in claimed))
    if len(distributions) == 1:
        return claimed[:1]
    who = f"{', '.join(distributions[:-1])} and {distributions[-1]}"
    fault = f"{len(distributions)} distributions claim the plugin name '{name}': {who}; uninstall all but one"
    return [one if one.distribution == HOME else replace(one, fault=fault) for one in claimed]


def stamp_of(files: Iterable[str | Path]) -> str:
    """A digest of the paths, sizes and times of files; of one that is not there, such as a dangling link, the path."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(os.fsencode(path))
        with suppress(OSError):
            state = os.stat(path)  # noqa: PTH116  (paths as texts: there are hundreds)
            digest.update(f"\n{state.st_size}\n{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


@cache
def sources(module: str) -> str:
    """A digest of a module's file, or of all files of a package; of nothing where no finder can look for it."""
    try:
        return stamp_of(_files(_located(module)))
    except (Exception, SystemExit):  # a finder may be anybody's; what is wrong shows when the module is imported
        return ""


def _located(module: str) -> ModuleSpec | None:
    """The path of a module by the import finders: ``find_spec`` would import the packages above it."""
    spec, path = None, None
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        name = ".".join(parts[:depth])
        spec = next(filter(None, (finder.find_spec(name, path) for finder in sys.meta_path)), None)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    return spec


def folder_of(module: str) -> Path | None:
    """The folder of a package, which is not imported; None where no finder can look for it."""
    try:
        spec = _located(module)
    except (Exception, SystemExit):
        return None
    folders = list(spec.submodule_search_locations or []) if spec else []
    return Path(folders[0]) if folders else None


def _files(spec: ModuleSpec | None) -> Iterator[str]:
    if spec is None:
        return
    for folder in spec.submodule_search_locations or []:
        for home, folders, names in os.walk(folder):
            folders[:] = sorted(set(folders) - {"__pycache__"})
            yield from (f"{home}{os.sep}{name}" for name in sorted(names) if name.endswith(".py"))
    if not spec.submodule_search_locations and spec.origin:
        yield spec.origin
