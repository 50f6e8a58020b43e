"""Differences between two declarations, wherever each is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError, nearest
from ..format.header import read_header
from ..hub.address import is_address
from ..registry.shipped import shipped_specs
from ..run.directory import model_file
from ..run.record import RESOLVED, is_run
from ..spec import as_written, find_spec, load_spec, python_files_of


def declared(target: str) -> Mapping[str, Any]:
    """The resolved spec of a spec, a run, or a share file as stored, whatever is installed."""
    path, shipped = Path(target), shipped_specs()
    if is_address(target):
        return _stored(target)
    if is_run(path):
        return _of_spec(path / RESOLVED)
    if path.suffix in (".yaml", ".yml") or (target in shipped and not path.exists()):
        return _of_spec(find_spec(target))
    if not path.exists():
        raise UsageError(f"spec, run or file not found: {target}{nearest(target, shipped)}")
    return _stored(target)


def _of_spec(path: Path) -> Mapping[str, Any]:
    """A spec with every default; one of a run as it stands, where Python files would have to be executed for that."""
    return as_written(path) if python_files_of(path) else load_spec(path).resolved()


def _stored(target: str) -> Mapping[str, Any]:
    values: Mapping[str, Any] = read_header(model_file(target)).meta["spec"]
    return values
