"""Data that is offered publicly: ``zoo data fetch``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..document.merge import assign
from ..document.nodes import Entries
from ..errors import UsageError, nearest
from ..interfaces import Dataset
from ..interfaces.component import kind_name
from ..registry.part import Part
from ..registry.registry import declare, installed
from ..registry.shipped import shipped_specs
from ..spec import load_spec, parts_in

KIND = kind_name(Dataset)


@dataclass(frozen=True)
class Fetched:
    """Result of a download: the folder of each data set, and both splits."""

    folders: Mapping[str, Path]
    examples: Mapping[str, int]
    fingerprints: Mapping[str, str]


def fetch(name: str, overrides: Sequence[str] = ()) -> Fetched:
    """Download the missing files of a data set, or of a spec's data, and read both splits.

    Raises `zoo.UsageError` where nothing is called so, `zoo.DataError` where data can be neither found nor fetched.
    """
    part = _declared(name, overrides)
    named = [inner for inner in parts_in(part) if issubclass(inner.cls, Dataset)]
    folders = {inner.name: folder for inner in named if (folder := inner().fetch()) is not None}
    splits = {split: part().split(split) for split in ("train", "test")}
    return Fetched(
        folders,
        {split: len(examples) for split, examples in splits.items()},
        {split: examples.fingerprint() for split, examples in splits.items()},
    )


def _declared(name: str, overrides: Sequence[str]) -> Part[Dataset]:
    """The data set of this name, or that of a spec; ``overrides`` are those of a spec: ``data.root=...``."""
    if name in shipped_specs() or Path(name).suffix in (".yaml", ".yml"):
        return load_spec(name, overrides).data
    if not installed().knows(KIND, name):
        known = {called for kind, called in installed().components() if kind == KIND}
        raise UsageError(f"unknown data set or spec '{name}'{nearest(name, known | set(shipped_specs()))}")
    node = Entries()
    node.put("data", name, None, None)
    for override in overrides:
        node = assign(node, override, lambda message: None)
    part: Part[Dataset] = declare(Dataset, node["data"])
    return part
