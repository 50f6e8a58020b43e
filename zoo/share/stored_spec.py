"""The spec that a share file carries, as the components that are installed here understand it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from packaging.utils import canonicalize_name
from packaging.version import Version
from pydantic import ValidationError

from ..distribution import requirement
from ..document.diagnostics import described, problems_in
from ..document.nodes import Entries, Items, Place, Text, place_of, plain
from ..errors import DamagedFile, PluginError, Problem, SpecError
from ..format.header import Header
from ..format.metadata import MAX_PARTS, shown
from ..format.migrations import version_of
from ..interfaces.component import Component
from ..registry.part import Absent, Part
from ..registry.python_file import comes_from_a_file, read_python_file
from ..registry.registry import Registry, installed
from ..registry.renames import Renamed, former_keys, with_present_keys
from ..spec import Spec

JUDGED = ("data", "model", "evaluate")
"""What a model computes and is scored by: here no default comes in. The other keys only say how it was trained."""

MAX_UNKNOWN = 100
"""Bound on unknown names, since the search for similar ones takes time."""

State = Literal["ok", "older", "newer", "unknown", "missing", "file"]


@dataclass(frozen=True)
class Need:
    """A recorded component of a share file, and its installed counterpart.

    ``state`` says how the file's version is to that here; ``unknown`` is a component that its own version lacks, and
    ``file`` one of a Python file in the run directory, which is not executed for those who look.
    """

    kind: str
    name: str
    distribution: str
    version: str
    here: str | None
    state: State

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}' of {self.distribution} {self.version}"

    @property
    def requirement(self) -> str:
        """The pip requirement, safe in a shell."""
        return requirement(self.distribution, self.version)


def needs(header: Header, run: Path | None = None) -> list[Need]:
    """The recorded components of a share file, each with its installed counterpart or its file in a run directory."""
    found = [_need(installed(), **component) for component in header.meta["components"]]
    return [replace(need, state="file", here=need.version) if run and _keeps(run, need) else need for need in found]


def _keeps(run: Path, need: Need) -> bool:
    """Whether a run has the Python file that brought a missing component, as it was."""
    if need.state != "missing" or not comes_from_a_file(need.distribution, need.version):
        return False
    try:
        return read_python_file(need.distribution, run).version == need.version
    except PluginError:
        return False


def require(path: Path, header: Header, found: Sequence[Need]) -> None:
    """PluginError, with what to install, if a component of a share file's model is missing."""
    if any(need.state == "missing" and need.name in _model_of(header) for need in found):
        require_all(path, found)


def _model_of(header: Header) -> set[str]:
    """The names of the components of a file's resolved model."""
    names, pending = set(), [header.meta["spec"].get("model")]
    while pending:
        value = pending.pop()
        pending += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        names |= {str(value["type"])} if isinstance(value, dict) and "type" in value else set()
    return names


def require_all(path: Path, found: Sequence[Need]) -> None:
    """PluginError, with what to install, if a recorded component is missing."""
    missing = [need for need in found if need.state == "missing"]
    files = [need for need in missing if comes_from_a_file(need.distribution, need.version)]
    if files:
        raise PluginError(
            f"{path} needs {', '.join(map(str, files))}: a Python file that its spec named, but a share file contains "
            "no code; open the original run, or ask its author for a package"
        )
    if missing:
        wanted = " ".join(sorted({need.requirement for need in missing}))
        raise PluginError(
            f"{path} needs components that are not installed: {', '.join(map(str, missing))}; if you trust them:\n"
            f"pip install {wanted}"
        )


def spec_of(header: Header, path: Path) -> Spec:
    """The stored spec of a share file, migrated from older versions, without new defaults.

    Raises `zoo.PluginError` where a plugin of the model is missing, `zoo.SpecError` where a component does not know a
    parameter or asks for one that the file does not set, `zoo.DamagedFile` where it reads a parameter in another way.
    For what else is missing, data or a metric, something stands in that cannot be built.
    """
    found = needs(header)
    require(path, header, found)
    stored = _Stored(installed(), path, header, found)
    node = _as_node(header.meta["spec"], Place())
    try:
        spec = Spec.model_validate({**node}, context={"lookup": stored})
    except ValidationError as error:
        problems = problems_in(error, node, Spec, "the spec")
        raise SpecError([Problem(None, f"{path}: {p.path}", p.message + _remedy(found)) for p in problems]) from None
    recorded = {cls for need in found for cls in installed().recorded(need.kind, need.name)}
    # Parents come first: the last that differs is the one to blame.
    for part in reversed(list(spec.parts())):
        declared, what = stored.declared.get(part.place.path, {}), f"{part.kind} '{part.name}'"
        for key, differs in _drift(part, declared):
            if differs:
                text = f"{what} reads the parameter '{key}' differently from the value in the file{_remedy(found)}"
                raise DamagedFile(f"{path}: {part.place.path}: {text}")
            text = (
                f"{what} has a parameter '{key}' that the file does not set; defaults are not used here{_remedy(found)}"
            )
            raise SpecError(Problem(None, f"{path}: {part.place.path}", text))
        if part.cls not in recorded and not issubclass(part.cls, Absent):
            raise DamagedFile(f"{path} does not record the plugin of {part.kind} '{part.name}'")
    return spec


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Context manager that adds the share file to errors of its spec."""
    try:
        yield
    except SpecError as error:
        problems = [Problem(None, f"{path}: {problem.path}", problem.message) for problem in error.problems]
        raise SpecError(problems) from error.__cause__


class WithAbsent:
    """Registry with placeholders for components that a share file declares and that are not installed."""

    def __init__(self, registry: Registry, path: Path, header: Header, found: Sequence[Need]) -> None:
        self._registry, self._path, model = registry, path, _model_of(header)
        found = [need for need in found if need.state in ("missing", "unknown") and need.name not in model]
        self._absent = {(need.kind, need.name): need for need in found}

    def find(self, kind: type[Component], name: str) -> type[Component]:
        for called in self._registry.kind_names(kind):
            if (called, name) in self._absent:
                return _absent(kind, self._absent[called, name], self._path)
        return self._registry.find(kind, name)

    def name_of(self, cls: type[Component]) -> str:
        return cls.called if issubclass(cls, Absent) else self._registry.name_of(cls)

    def adapted(self, cls: type[Component], node: Mapping[str, Any]) -> Mapping[str, Any]:
        return node if issubclass(cls, Absent) else self._registry.adapted(cls, node)

    def label(self, kind: type[Component]) -> str:
        return self._registry.label(kind)


def _absent(kind: type[Component], need: Need, path: Path) -> type[Component]:
    advice = f"if you trust its author:\npip install {need.requirement}"
    reason = f"{path} declares {need}, which is not installed here; {advice}"
    if comes_from_a_file(need.distribution, need.version):
        reason = f"{path} declares {need}, a Python file that its spec named, but a share file contains no code"
    values = {"called": need.name, "recorded_kind": need.kind, "distribution": need.distribution}
    return type(need.name, (Absent, kind), values | {"version": need.version, "reason": reason})


class _Stored(WithAbsent):
    """The registry as a stored spec sees it: declarations of older versions are brought up to date, in place."""

    def __init__(self, registry: Registry, path: Path, header: Header, found: Sequence[Need]) -> None:
        super().__init__(registry, path, header, found)
        self._recorded = {need.name for need in found}
        self._asked = self._unknown = 0
        self._made_with = {
            cls: Version(need.version) for need in found for cls in registry.recorded(need.kind, need.name)
        }
        self.declared: dict[str, Mapping[str, Any]] = {}
        """Every declaration of the spec, migrated, by its path."""

    def find(self, kind: type[Component], name: str) -> type[Component]:
        # Otherwise the name would decide what is imported, or what a user is advised to install.
        if "." in name and name not in self._recorded:
            raise DamagedFile(f"{self._path} uses {shown(name)} in its spec, but does not record that component")
        self._asked += 1
        if self._asked > MAX_PARTS or self._unknown > MAX_UNKNOWN:
            raise DamagedFile(f"{self._path} declares more than {MAX_PARTS:,} parts, or {MAX_UNKNOWN} unknown ones")
        self._unknown += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Renamed)  # nobody who opens a file can do anything about its names
            found = super().find(kind, name)
        self._unknown -= 1
        return found

    def adapted(self, cls: type[Component], node: Mapping[str, Any]) -> Mapping[str, Any]:
        """The declaration, after every step from the version that wrote it to the one that is installed."""
        # Defaults have no place; and a declaration is asked for by each member of a union that it may be.
        if not isinstance(node, Entries) or not node.place.path or self.declared.get(node.place.path) is node:
            return node
        path = node.place.path
        self.declared[path] = node
        if issubclass(cls, Absent):
            return node
        made_with = self._made_with.get(cls)
        for migration in self._registry.migrations_of(cls):
            if made_with is not None and made_with < migration.before:
                _migrate(
                    node,
                    migration.step,
                    f"{self._path}: {path}: the migration of '{cls.__name__}' to {migration.before}",
                )
        renamed = self._registry.renamed(cls)
        if former_keys(renamed, node):
            present = with_present_keys(renamed, node)
            node.clear()
            node.update(present)
        for key in self._registry.added(cls).keys() - node.keys():
            value = _as_node(self._registry.added(cls)[key], node.place.under(key, None))
            node.put(key, value, None, None)
        node["type"] = Text(self._registry.name_of(cls)).at(place_of(node.get("type")))
        return node


def _migrate(node: Entries, step: Callable[[dict[str, Any]], Mapping[str, Any]], name: str) -> None:
    old = {key: plain(value) for key, value in node.items() if key != "type"}
    try:
        new = _as_node({**step(old), "type": node["type"]}, node.place)
    except Exception as error:
        raise DamagedFile(f"{name} failed: {described(error)}") from error
    node.clear()
    node.update(new)


def _drift(part: Part[Any], stored: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """The parameters of a part that a file does not set, or, where this is true, sets to something else."""
    if part.place.path.startswith(JUDGED):
        for key, value in part.resolved().items():
            if key not in stored or (key != "type" and stored[key] != value):
                yield key, key in stored


def _remedy(found: Sequence[Need]) -> str:
    """Advice about a file of other versions."""
    other = {need.distribution: need for need in found if need.state in ("older", "newer")}
    if not other:
        return ""
    versions = ", ".join(f"{need.distribution} {need.version} (installed: {need.here})" for need in other.values())
    wanted = " ".join(need.requirement for need in other.values())
    return f"; it was made with {versions}: pip install {wanted}, or a version that migrates it"


def _need(registry: Registry, kind: str, name: str, distribution: str, version: str) -> Need:
    plugin = registry.bringer(name)
    if plugin is None or canonicalize_name(plugin.distribution) != canonicalize_name(distribution):
        return Need(kind, name, distribution, version, None, "missing")
    made, here = Version(version), version_of(plugin.version)
    state: State = "ok" if here is None or made == here else "older" if made < here else "newer"
    if not registry.knows(kind, name):
        state = "unknown" if state == "ok" else "missing"
    return Need(kind, name, distribution, version, plugin.version, state)


def _as_node(value: Any, place: Place) -> Any:
    """Plain values as a spec's nodes; their places are their paths."""
    if isinstance(value, str):
        return Text(value).at(place)
    if isinstance(value, Mapping):
        entries = Entries(place=place)
        for key, inner in value.items():
            entries.put(str(key), _as_node(inner, place.under(str(key), None)), None, None)
        return entries
    if isinstance(value, list | tuple):
        items = Items(place=place)
        for index, inner in enumerate(value):
            items.places.append(place.under(index, None))
            items.append(_as_node(inner, items.places[-1]))
        return items
    return value
