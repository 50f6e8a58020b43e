"""From a path, a shipped name or plain values to a validated `Spec`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ..document.diagnostics import problems_in
from ..document.merge import Say, assign, merge, put
from ..document.nodes import Entries, Items, Place, child_place, key_place, place_of, plain
from ..document.yaml import read_yaml, write_yaml
from ..errors import PluginError, Problem, SpecError, UsageError, nearest
from ..format.header import fits
from ..format.metadata import MAX_PARTS, flaws_in, flaws_of_spec
from ..registry.part import Lookup
from ..registry.python_file import PythonFile, is_python_file, read_python_file
from ..registry.registry import Registry, installed
from ..registry.shipped import shipped_specs
from ..registry.trust import in_run
from ..registry.trust import require as require_trained_with
from .spec import Spec, contradictions

MAX_EXTENDS = 16


def _to_stderr(message: str) -> None:
    print(message, file=sys.stderr)


def load_spec(
    spec: str | os.PathLike[str] | Mapping[str, Any],
    overrides: Iterable[str] = (),
    *,
    small: bool = False,
    say: Say = _to_stderr,
    trust: bool = False,
    lookup: Lookup | None = None,
) -> Spec:
    """A spec from a path, the name of a shipped one, or plain values.

    ``overrides`` are assignments as ``--set`` takes them; ``small`` applies the spec's own seconds-long version first.
    Python files that a spec names are executed; of those of a run, only what this user has trained with on this
    machine, unless ``trust`` says that any may be.
    ``lookup`` replaces the registry, to open a file without all plugins that it names.
    Raises `SpecError` with every problem of the declaration, each with its place, and `PluginError` for a Python file
    that may not be executed.
    """
    file = None if isinstance(spec, Mapping) else find_spec(spec)
    node = read_yaml(_text_of(spec), "<spec>") if isinstance(spec, Mapping) else read_merged(find_spec(spec), say)
    if small:
        node = shrunk(node)
    for override in overrides:
        node = assign(node, override, say)
    return validate(node, file, trust=trust, lookup=lookup)


def validate(node: Entries, file: Path | None, *, trust: bool = False, lookup: Lookup | None = None) -> Spec:
    """The spec that a merged node declares, and the file that it was read from."""
    registry = installed()
    if "extends" in node:
        at = key_place(node, "extends")
        raise SpecError(Problem(at.mark, at.path, "'extends' is only allowed in a spec file"))
    node = _unrolled(_with_plugins(registry, node, file, trust), [0])
    try:
        spec = Spec.model_validate({**node}, context={"lookup": lookup or registry})
    except ValidationError as error:
        raise SpecError(problems_in(error, node, Spec, "the spec", also=("extends",))) from None
    found = [*contradictions(spec, node), *_unshareable(spec, node)]
    if found:
        raise SpecError(found)
    return spec.read_from(node)


def _unshareable(spec: Spec, node: Entries) -> Iterator[Problem]:
    """The values of a spec's model that a share file cannot store, with their lines."""
    resolved = spec.resolved()
    shared = resolved | {"plugins": [name for name in spec.plugins if not is_python_file(name)]}
    for steps, flaw in (*flaws_in(resolved), *flaws_of_spec(shared)):
        place = _nearest_place(node, steps)
        yield Problem(place.mark, place.path, f"{flaw}; not allowed in a share file")
    if not fits(json.dumps(json.dumps(resolved))):
        yield Problem(node.place.mark, "", "is too long for a share file")


def _nearest_place(node: Any, steps: Iterable[str | int]) -> Place:
    """The place of a value of a resolved spec, or of its parent."""
    place = place_of(node)
    for step in steps:
        inside = step in node if isinstance(node, Entries) else isinstance(node, Items)
        if not inside:
            break
        place, node = child_place(node, step), node[step]
    return place


def find_spec(spec: str | os.PathLike[str]) -> Path:
    """The file of a spec: a path, or the name of a shipped one."""
    path, shipped = Path(spec), shipped_specs()
    try:
        if path.is_dir() and str(spec) not in shipped:
            raise UsageError(f"{path} is a directory, expected a YAML file")
        if path.exists() and not path.is_dir():
            return path
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    if str(spec) in shipped:
        return shipped[str(spec)]
    if path.suffix in (".yaml", ".yml"):
        raise UsageError(f"file not found: {path}{nearest(path.stem, shipped)}")
    raise UsageError(f"unknown spec '{spec}'{nearest(str(spec), shipped)}")


def read_merged(path: Path, say: Say = lambda message: None) -> Entries:
    """A spec file merged with what it extends, as nodes, without validation."""
    return _read(path, say, ())


def read_mapping(path: Path, what: str, key: str) -> Entries:
    """A file of keys, as nodes; messages name its type and a key that it must have."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a text file; expected {what} in YAML, as UTF-8 text") from None
    node = read_yaml(text, str(path), path)
    if not isinstance(node, Entries):
        raise SpecError(Problem(place_of(node).mark, "", f"{path} is not a mapping; expected keys such as '{key}'"))
    return node


def _read(path: Path, say: Say, chain: tuple[Path, ...]) -> Entries:
    node = read_mapping(path, "a spec", "model")
    if "extends" not in node:
        return node
    at = child_place(node, "extends")
    parent = node["extends"]
    if not isinstance(parent, str):
        raise SpecError(Problem(at.mark, at.path, "expected the path or the name of a spec"))
    local = path.parent / parent
    chain = (*chain, path.resolve())
    try:
        base_path = local if local.is_file() else find_spec(parent)
    except UsageError as error:
        raise SpecError(Problem(at.mark, at.path, str(error))) from None
    if base_path.resolve() in chain:
        raise SpecError(Problem(at.mark, at.path, f"{parent} extends itself"))
    if len(chain) > MAX_EXTENDS:
        raise SpecError(Problem(at.mark, at.path, f"extends more than {MAX_EXTENDS} specs in a row"))
    base = _read(base_path, say, chain).without("published", "reached")  # figures of the base's own model
    merged: Entries = merge(base, node.without("extends"), say)
    merged.place = node.place
    return merged


def as_written(path: Path) -> dict[str, Any]:
    """The plain values of a spec file, merged with what it extends; nothing that it names is executed."""
    values: dict[str, Any] = plain(read_merged(path))
    return values


def python_files_of(path: Path) -> list[str]:
    """The Python files that a spec of a run names; none is executed."""
    plugins = read_merged(path).get("plugins") if in_run(path) else None
    return [name for name in plugins if isinstance(name, str) and is_python_file(name)] if plugins else []


def bring_python_files(path: Path, *, trust: bool = False) -> None:
    """Execute the Python files that the spec of a run names, and take nothing else of it."""
    plugins = read_mapping(path, "a spec", "model").get("plugins")
    for index, name in enumerate(plugins if isinstance(plugins, Items) else ()):
        if isinstance(name, str) and is_python_file(name):
            _brought(installed(), name, child_place(plugins, index), path, trust)


def _with_plugins(registry: Registry, node: Entries, spec: Path | None, trust: bool) -> Entries:
    """The node with its plugins loaded; paths of files are relative to the spec that names them."""
    plugins = node.get("plugins")
    if not isinstance(plugins, Items):
        return node
    found = Items(place=plugins.place)
    for index, name in enumerate(plugins):
        place = child_place(plugins, index)
        try:
            brought = _brought(registry, name, place, spec, trust) if isinstance(name, str) else name
            if brought in found:
                raise PluginError(f"duplicate plugin name '{name}'")
            found.append(brought)
        except PluginError as error:
            raise PluginError(str(Problem(place.mark, place.path, str(error)))) from None
        found.places.append(place)
    entries = node.without()
    entries.update(node | {"plugins": found})
    return entries


def _brought(registry: Registry, name: str, place: Place, spec: Path | None, trust: bool) -> str:
    if not is_python_file(name):
        registry.require(name)
        return name
    file = _file_named(name, place)
    # A run may name a file, or extend a spec, that lies elsewhere.
    sources = (spec, place.mark.source.path if place.mark else None, file.path)
    if not trust and any(path is not None and in_run(path) for path in sources):
        require_trained_with(file)
    registry.bring(file)
    return f"./{file.path.name}"


def _file_named(name: str, place: Place) -> PythonFile:
    folder = place.mark.source.path.parent if place.mark and place.mark.source.path else None
    if folder is None:
        message = "a Python file can only be named in a spec file, to which its path is relative"
        raise SpecError(Problem(place.mark, place.path, message))
    return read_python_file(name, folder)


def _text_of(spec: Mapping[str, Any]) -> str:
    try:
        return write_yaml(dict(spec))
    except yaml.YAMLError as error:
        raise SpecError(Problem(None, "", f"a spec must contain plain values: {error}")) from None


def shrunk(node: Entries) -> Entries:
    """The spec's own small version, which takes seconds."""
    small = node.get("small")
    if "small" not in node:
        raise SpecError(Problem(node.place.mark, "", "has no small version: it lacks the key 'small'"))
    if isinstance(small, Entries):
        for key, value in small.items():
            marks = (small.key_marks.get(key), small.value_marks.get(key))
            node = put(node, key.split("."), value, marks, lambda message: None)
    return node


def _unrolled(node: Any, count: list[int]) -> Any:
    """Every ``{repeat: N, of: [...]}`` in a list, written out; places stay those of the text."""
    if isinstance(node, Entries):
        entries = node.without()
        for key, value in node.items():
            entries[key] = _unrolled(value, count)
        return entries
    if not isinstance(node, Items):
        return node
    items = Items(place=node.place)
    for index, item in enumerate(node):
        if isinstance(item, Entries) and "repeat" in item and "type" not in item:
            times, of = _repetition(item)
            inner = _unrolled(of, count)
            count[0] += times * max(1, len(inner))
            if count[0] > MAX_PARTS:
                raise SpecError(Problem(item.place.mark, item.place.path, f"expands to more than {MAX_PARTS:,} items"))
            for _ in range(times):
                items.extend(inner)
                items.places.extend(inner.places)
        else:
            items.append(_unrolled(item, count))
            items.places.append(child_place(node, index))
    return items


def _repetition(item: Entries) -> tuple[int, Items]:
    for key in item:
        if key not in ("repeat", "of"):
            at = child_place(item, key)
            raise SpecError(
                Problem(
                    item.key_marks.get(key), at.path, f"unknown key '{key}' of a repetition; expected 'repeat' and 'of'"
                )
            )
    times, of = item["repeat"], item.get("of")
    if isinstance(times, bool) or not isinstance(times, int) or times < 0:
        at = child_place(item, "repeat")
        raise SpecError(Problem(at.mark, at.path, "expected the number of repetitions, a whole number from 0"))
    if not isinstance(of, Items):
        raise SpecError(Problem(item.place.mark, item.place.path, "'repeat' needs 'of', the list to repeat"))
    return times, of
